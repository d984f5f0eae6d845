from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spaces import backbones
from spaces.candidate import Candidate
from spaces.errors import CandidateError
from spaces.networks.differences import decisions_apart, described, units_apart
from spaces.networks.space import Space


def candidate(backbone: str = "resnet18", size: tuple[int, int] = (64, 64), **choices: Any) -> Candidate:
    plain = Space(backbones.resolve(backbone).pretrained("none", size), {}).baseline()
    structure = replace(plain.structure, choices={**plain.structure.choices, **choices})
    return replace(plain, structure=structure)


def test_a_candidate_is_the_same_as_itself() -> None:
    one = described(candidate())
    assert decisions_apart(one, one) == []
    (row,) = units_apart(one, one)
    assert len(row.units) == len(one.units) == 9
    assert len(units_apart(one, one, gather=False)) == 9


def test_units_that_differ_are_listed_alone_in_their_order() -> None:
    one, other = described(candidate(freeze=3)), described(candidate(freeze=4, tail=1))
    rows = units_apart(one, other)
    assert [(row.units[0], row.is_same) for row in rows] == [
        ("conv1", True),
        ("layer2.0", False),
        ("layer2.1", True),
        ("layer4.1", False),
    ]
    assert rows[1].first == "trained, 128x8x8 out"
    assert rows[1].second == "frozen, 128x8x8 out"
    assert rows[3].second == "dropped"
    assert [name for name, _, _ in decisions_apart(one, other)] == ["tail", "freeze"]
    assert one.parameters > other.parameters
    assert one.macs > other.macs


def test_edits_are_named_in_their_unit() -> None:
    one, other = described(candidate()), described(candidate(kernel=[["conv1", 9]]))
    differing = [row for row in units_apart(one, other) if not row.is_same]
    assert [row.units for row in differing] == [("conv1",), ("layer1.0",), ("layer1.1",)]
    assert differing[0].second == "trained, 9x9 kernel, 64x16x16 out"


def test_units_of_other_backbones_are_listed_beside_a_dash() -> None:
    rows = units_apart(described(candidate()), described(candidate("squeezenet1_1")))
    assert any(row.second == "–" for row in rows)
    assert any(row.first == "–" for row in rows)


def test_a_candidate_of_a_decision_that_is_not_here_is_refused() -> None:
    with pytest.raises(CandidateError, match="is not installed"):
        described(candidate(teleport=1))
