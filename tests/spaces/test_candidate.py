from __future__ import annotations

import json
import math
import random

import pytest

from spaces.candidate import Candidate, Recipe, Structure, short
from spaces.errors import CandidateError

EXAMPLE = Candidate(
    Structure("torchvision:resnet18", "none", (32, 48), {"freeze": 3, "kernel": [["conv1", 5]]}),
    Recipe({"penalty": {"kind": "l1", "strength": 1e-5, "everything": False}}),
)


def test_a_candidate_goes_to_json_and_comes_back() -> None:
    assert Candidate.from_json(json.loads(json.dumps(EXAMPLE.to_json()))) == EXAMPLE


def test_equal_candidates_have_equal_fingerprints() -> None:
    twin = Candidate.from_json(EXAMPLE.to_json())
    assert twin.fingerprint == EXAMPLE.fingerprint
    assert Candidate(EXAMPLE.structure, Recipe()).fingerprint != EXAMPLE.fingerprint


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"format": 99}, "format 99"),
        ({"extra": 1}, "unknown keys"),
        ({"structure": 3}, "must be a mapping"),
        ({"recipe": {"choices": []}}, "must map decisions"),
    ],
)
def test_data_that_is_not_a_candidate_is_refused(change: dict[str, object], reason: str) -> None:
    with pytest.raises(CandidateError, match=reason):
        Candidate.from_json(EXAMPLE.to_json() | change)


@pytest.mark.parametrize("size", [[32], [0, 3], "32", [32.5, 3], [True, True]])
def test_a_wrong_input_size_is_refused(size: object) -> None:
    data = EXAMPLE.to_json()
    data["structure"]["input_size"] = size
    with pytest.raises(CandidateError, match="input_size"):
        Candidate.from_json(data)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00045, "4.5e-4"),
        (1e-6, "1e-6"),
        (0.05, "0.05"),
        (0.001, "0.001"),
        (0.12345, "0.123"),
        (30, "30"),
        (1234.0, "1234"),
        (123456.0, "1.23e5"),
        (0.0, "0"),
        (-0.00012, "-1.2e-4"),
    ],
)
def test_a_number_has_one_form(value: float, text: str) -> None:
    assert short(value) == text


def test_what_is_read_again_is_within_three_digits() -> None:
    drawn = random.Random(0)
    for _ in range(500):
        value = 10 ** drawn.uniform(-9, 9)
        assert float(short(value)) == pytest.approx(value, rel=5e-3)
    assert short(math.inf) == "inf"
