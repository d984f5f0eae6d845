from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data.sample import Split
from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training.features import Prefix
from search.training.frozen_units import FrozenUnits
from search.training.precision import choose
from spaces.candidate import Candidate
from spaces.networks.build import Network


@pytest.fixture
def runtime(study_file: Path) -> StudyRuntime:
    return open_runtime(load_spec(study_file), "cpu")


def frozen(runtime: StudyRuntime, depth: int) -> tuple[Candidate, Network]:
    plain = runtime.space.baseline().to_json()
    plain["structure"]["choices"]["freeze"] = depth
    candidate = Candidate.from_json(plain)
    return candidate, runtime.build(candidate, 0)


def test_batches_are_what_the_frozen_units_give(runtime: StudyRuntime) -> None:
    candidate, network = frozen(runtime, 2)
    units = FrozenUnits("data", ("facts",), None, choose(torch.device("cpu"), "float32"))
    plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
    train, val = runtime.batches(Split.TRAIN), runtime.batches(Split.VAL)
    behind = units.plan(plan, network, train, val, "for a test")
    assert behind.facts()["prefix"]["train"]["why"] == "for a test"
    network.eval()
    for (features, targets), (images, labels) in zip(behind.val.epoch(1), val.epoch(1), strict=True):
        expected = network.units[1](network.units[0](images))
        torch.testing.assert_close(features, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(behind.forward(network, features), network(images), rtol=1e-4, atol=1e-5)
        assert torch.equal(targets, labels)


def test_outputs_of_other_data_have_other_keys(runtime: StudyRuntime) -> None:
    _, network = frozen(runtime, 2)
    samples, prefix = runtime.batches(Split.TRAIN), Prefix(network, runtime.precision)
    units = FrozenUnits("data", ("one",), None, runtime.precision)
    key = units.batches(samples, Split.TRAIN, prefix).key
    assert units.batches(samples, Split.TRAIN, prefix).key == key
    assert units.batches(samples, Split.VAL, prefix).key != key
    assert replace(units, facts=("other",)).batches(samples, Split.TRAIN, prefix).key != key
