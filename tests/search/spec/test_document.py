"""The model of a study file knows every plug-in."""

from __future__ import annotations

import json

from search.data.formats import formats
from search.spec.document import json_schema
from search.spec.load import parse_spec
from search.tasks import tasks
from spaces.decisions import registry

PLAIN = "name: x\ndata: {path: here}\nbackbone: resnet18\n"


def test_short_forms_mean_what_they_say() -> None:
    spec = parse_spec(PLAIN + "space: {freeze: , tail: true, stride: false, head: {}}\n")
    assert set(spec.space) == {"freeze", "tail", "head"}
    assert parse_spec(PLAIN.replace("here", "t.csv")).data_format == "csv"
    assert parse_spec(PLAIN.replace("{path: here}", "there")).data.path == "there"
    assert parse_spec(PLAIN + "space: {optimizer: {sgd_head: [1e-4, 1e-2]}}").space["optimizer"].sgd_head == (
        1e-4,
        1e-2,
    )


def test_the_schema_knows_every_plugin() -> None:
    text = json.dumps(json_schema())
    for name in (*registry(), *formats()):
        assert f'"{name}"' in text
    assert tasks()
