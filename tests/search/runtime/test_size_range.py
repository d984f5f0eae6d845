from __future__ import annotations

from pathlib import Path

import pytest

from search.runtime.objective_values import counted
from search.runtime.size_range import size_range
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from spaces.networks.space import Random


@pytest.fixture
def runtime(study_file: Path) -> StudyRuntime:
    wide = "  kernel: {}\n  skip: {}\n  insert: {}\n  lora: {}\n  width: {}\n  penalty:"
    study_file.write_text(study_file.read_text().replace("  penalty:", wide))
    return open_runtime(load_spec(study_file), "cpu")


def test_no_drawn_candidate_is_smaller_or_larger(runtime: StudyRuntime) -> None:
    smallest, largest = (counted(runtime, one)["parameters"] for one in size_range(runtime, 60.0))
    drawn = [counted(runtime, runtime.space.sample(Random(seed)))["parameters"] for seed in range(24)]
    assert smallest <= min(drawn) < max(drawn) <= largest


def test_the_built_networks_are_as_small_and_as_large_as_was_counted(runtime: StudyRuntime) -> None:
    for candidate in size_range(runtime, 0.0):
        built = runtime.size(runtime.build(candidate, 0))
        assert built.parameters == counted(runtime, candidate)["parameters"]
