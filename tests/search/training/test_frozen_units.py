from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data.sample import Split
from search.laboratory import Laboratory, open_laboratory
from search.records import Verdict
from search.spec import load_spec
from search.training.features import Prefix
from search.training.frozen_units import FrozenUnits
from search.training.precision import choose
from spaces.build import Network
from spaces.candidate import Candidate


@pytest.fixture
def laboratory(study_file: Path) -> Laboratory:
    return open_laboratory(load_spec(study_file), "cpu")


def frozen(laboratory: Laboratory, depth: int) -> tuple[Candidate, Network]:
    plain = laboratory.space.baseline().to_json()
    plain["structure"]["choices"]["freeze"] = depth
    candidate = Candidate.from_json(plain)
    return candidate, laboratory.build(candidate, 0)


def test_batches_are_what_the_frozen_units_give(laboratory: Laboratory) -> None:
    candidate, network = frozen(laboratory, 2)
    units = FrozenUnits(("facts",), None, choose(torch.device("cpu"), "float32"))
    course = laboratory.course(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
    train, val = laboratory.batches(Split.TRAIN), laboratory.batches(Split.VAL)
    behind = units.course(course, network, train, val, "for a test")
    assert behind.facts()["prefix"]["train"]["why"] == "for a test"
    network.eval()
    for (features, targets), (images, labels) in zip(behind.val.epoch(1), val.epoch(1), strict=True):
        expected = network.units[1](network.units[0](images))
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(behind.forward(network, features), network(images), rtol=1e-4, atol=1e-5)
        assert torch.equal(targets, labels)


def test_outputs_of_other_data_have_other_keys(laboratory: Laboratory) -> None:
    _, network = frozen(laboratory, 2)
    samples, prefix = laboratory.batches(Split.TRAIN), Prefix(network, laboratory.precision)
    units = FrozenUnits(("one",), None, laboratory.precision)
    key = units.batches(samples, Split.TRAIN, prefix).key
    assert units.batches(samples, Split.TRAIN, prefix).key == key
    assert units.batches(samples, Split.VAL, prefix).key != key
    assert replace(units, facts=("other",)).batches(samples, Split.TRAIN, prefix).key != key
