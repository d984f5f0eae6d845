"""Which trials keep their checkpoints."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.artifacts.stores import Folder
from search.errors import TrialError
from search.records.study import StudyRecord
from search.store.connection import patience_of
from search.training.checkpoint import Checkpoint, get
from search.trials.context import TrialContext
from search.trials.keep_best import keep


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


class Full(Folder):
    """A folder on a disk that is full for some time."""

    __slots__ = ("left",)

    def put(self, name: str, content: bytes) -> None:
        if self.left:
            self.left.pop()
            raise TrialError("cannot write the checkpoint: the disk is full", "disk")
        super().put(name, content)


def full(tmp_path: Path, times: int) -> Full:
    found = Full(tmp_path / "kept")
    object.__setattr__(found, "left", [1] * times)
    return found


def test_trained_weights_wait_for_a_full_disk(weighing: TrialContext, tmp_path: Path) -> None:
    context = replace(weighing, artifact_store=full(tmp_path, 3))
    name = keep(context, "trial-00000", Checkpoint({"a": torch.ones(2)}, {"b": 1}))
    assert get(context.artifact_store, name).facts == {"b": 1}


@pytest.mark.parametrize("why", ["patience is over", "told to leave"])
def test_trained_weights_do_not_wait_forever(weighing: TrialContext, tmp_path: Path, why: str) -> None:
    patience = patience_of(weighing.engine)
    patience.seconds = 0.3 if why == "patience is over" else 1000.0
    calls: list[int] = []

    def leave() -> bool:
        calls.append(1)
        return why == "told to leave" and len(calls) > 3

    context = replace(weighing, artifact_store=full(tmp_path, 1000), leave=leave)
    begin = time.monotonic()
    with pytest.raises(TrialError, match="the disk is full"):
        keep(context, "trial-00000", Checkpoint({}, {}))
    assert time.monotonic() - begin < 10
