from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import yaml
from by_path import module_at

from search.model.card import card
from search.model.folder import ModelFacts, Origin

FACTS: ModelFacts = module_at("search/model/test_folder.py").FACTS


def front(text: str) -> dict[str, Any]:
    head = text.split("---\n")[1]
    found: dict[str, Any] = yaml.safe_load(head)
    return found


def test_hubs_can_read_the_head() -> None:
    found = front(card(FACTS, "image-classification", [("model.onnx", "onnxruntime", "import onnxruntime\n")]))
    assert found["license"] == "bsd-3-clause"
    assert found["pipeline_tag"] == "image-classification"
    assert found["model-index"][0]["results"][0]["metrics"][0] == {
        "type": "accuracy",
        "name": "accuracy",
        "value": 0.91,
    }


def test_hugging_faces_own_reader_takes_it() -> None:
    hub = pytest.importorskip("huggingface_hub")
    data = hub.ModelCard(card(FACTS, "image-classification", [])).data
    assert data.eval_results[0].metric_value == 0.91
    assert data.model_name == "flowers-trial-3"


def test_folders_of_this_machine_stay_out() -> None:
    assert "/home/somebody" not in card(FACTS, "image-classification", [])


@pytest.mark.parametrize(
    ("license_name", "expected"),
    [("", "other"), ("https://example.org/LICENSE", "other"), ("apache-2.0", "apache-2.0")],
)
def test_a_licence_that_hubs_have_no_name_for_is_written_out(license_name: str, expected: str) -> None:
    facts = replace(FACTS, weights=replace(FACTS.weights, license=license_name))
    text = card(facts, "image-classification", [])
    assert front(text)["license"] == expected
    assert (license_name or "none named by the publisher") in text


def test_it_says_what_a_reader_must_know() -> None:
    text = card(FACTS, "image-classification", [("model.onnx", "onnxruntime", "import onnxruntime\n")])
    for part in (
        "ab" * 32,
        "1. rosé",
        "0.9100",
        "BICUBIC",
        "max(110 / height, 146 / width)",
        "2.0e-06",
        "40 of 40",
        "import onnxruntime",
    ):
        assert part in text
    assert "temperature" not in text
    assert "temperature 1.7000" in card(replace(FACTS, temperature=1.7), "", [])
    scratch = card(replace(FACTS, weights=Origin(name="none")), "", [])
    assert "no pretrained weights" in scratch
    assert "pipeline_tag" not in front(scratch)
