"""A checked study file as plain data."""

from __future__ import annotations

import json

from search.sampling.pruners import Halving
from search.spec.load import from_data, parse_spec

PLAIN = "name: x\ndata: {path: here}\nbackbone: resnet18\n"


def test_a_spec_goes_to_json_and_comes_back() -> None:
    text = (
        PLAIN
        + "space: {freeze: {low: 1, high: 2}, tail: true}\nsearch: {pruner: halving, timeout: 2h}\ninput_size: 64\n"
    )
    spec = parse_spec(text)
    again = from_data(json.loads(json.dumps(spec.to_json())), text=spec.text, base=spec.base)
    assert again == spec
    assert isinstance(spec.search.pruner, Halving)
    assert (spec.search.timeout, spec.input_size) == (7200.0, (64, 64))


SEVERAL = """\
objectives: [accuracy, parameters, {name: latency, direction: minimize}]
latency: {batch: 8}
constraints: {parameters: < 3M, latency: < 5ms, accuracy: at least 80%}
search: {pruning: pareto_safe, sampler: nsga2}
"""


def test_several_objectives_and_constraints_go_to_json_and_come_back() -> None:
    spec = parse_spec(PLAIN + SEVERAL)
    assert [one.name for one in spec.goals.further] == ["parameters", "latency"]
    assert spec.goals.latency is not None
    assert spec.goals.latency.batch == 8
    assert (spec.objective, spec.search.pruning, spec.search.sampler.name) == ("accuracy", "pareto_safe", "nsga2")
    assert from_data(json.loads(json.dumps(spec.to_json())), text=spec.text, base=spec.base) == spec


def test_one_entry_means_what_the_single_objective_does() -> None:
    single, listed = parse_spec(PLAIN + "objective: loss\n"), parse_spec(PLAIN + "objectives: [loss]\n")
    assert single.to_json() == listed.to_json()
    assert single.to_json()["objectives"] is None
    assert not single.maximize
