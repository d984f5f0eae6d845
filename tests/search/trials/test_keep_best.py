"""Which trials keep their checkpoints."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from search.records.study import StudyRecord
from search.trials.context import TrialContext


def test_a_study_of_several_objectives_records_all_and_keeps_the_weights_of_its_front(
    weighing: TrialContext, run_all: Callable[[TrialContext, int], StudyRecord]
) -> None:
    study = run_all(weighing, 6)
    assert [one.name for one in study.objectives] == ["accuracy", "parameters", "train_seconds"]
    for one in study.trials:
        assert one.size is not None
        assert one.objectives["parameters"] == one.size.parameters == one.extras["known"]["parameters"]
        assert one.objectives["train_seconds"] == pytest.approx(sum(epoch.seconds for epoch in one.epochs))
        assert one.objectives["accuracy"] == one.value
    assert study.trials[0].broken == ("parameters < 700k",)
    assert study.trials[0].checkpoint is None
    assert not any(one.broken for one in study.trials[1:])
    kept = {one.number for one in study.trials if one.checkpoint}
    best = study.best
    assert best is not None
    assert kept == {one.number for one in study.front} | {best.number}
