"""Heads trained at once on a GPU, each as if alone, and none of them makes the host wait."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest
import torch
from by_path import module_at
from device_trials import Watched

from search import api
from search.records.study import TrialState
from search.training.fit import TrainingResult, fit
from search.training.heads import Behind, fit_heads
from search.training.precision import choose
from search.training.stacking import StackedHead
from spaces.backbones._base import Pretrained

pytestmark = pytest.mark.gpu
HEADS = module_at("search/training/test_heads.py")


@dataclass(frozen=True)
class Placed:
    """Batches that are on a device, as a loader gives them."""

    batches: Any
    device: str

    def epoch(self, number: int) -> Iterator[Any]:
        yield from self.batches


def members(tiny: Pretrained, device: str, *, drops: bool) -> list[StackedHead]:
    """Return the heads of the CPU's test on ``device``; those with dropout, or those without."""
    made = []
    for name, own in zip(HEADS.HEADS, HEADS.members(tiny), strict=True):
        if bool(HEADS.HEADS[name][1]) is not drops:
            continue
        own.network.to(device)
        precision = choose(torch.device(device), "float32")
        data = {
            part: Placed([[one.to(device) for one in batch] for batch in getattr(own.plan, part).epoch(1)], device)
            for part in ("train", "val")
        }
        made.append(replace(own, plan=replace(own.plan, precision=precision, **data)))
    return made


def together(found: list[StackedHead], *, watched: bool = False) -> list[Any]:
    first = found[0]
    parts = [Watched(part) if watched else part for part in (first.plan.train, first.plan.val)]
    return list(fit_heads(found, *(Behind(part, first.network, first.plan.precision) for part in parts)))


def test_heads_without_dropout_are_as_trained_alone(tiny: Pretrained, device: str) -> None:
    alone = [fit(member.network, member.plan) for member in members(tiny, device, drops=False)]
    for own, other in zip(together(members(tiny, device, drops=False)), alone, strict=True):
        assert isinstance(own, TrainingResult)
        for mine, expected in zip(own.epochs, other.epochs, strict=True):
            assert mine.train_loss == pytest.approx(expected.train_loss, rel=1e-3)


def test_heads_with_dropout_learn(tiny: Pretrained, device: str, only_cuda: None) -> None:
    for own in together(members(tiny, device, drops=True)):
        assert isinstance(own, TrainingResult)
        assert own.epochs[-1].train_loss < own.epochs[0].train_loss * 1.2


def test_no_step_of_heads_waits(tiny: Pretrained, device: str) -> None:
    assert all(isinstance(own, TrainingResult) for own in together(members(tiny, device, drops=False), watched=True))


def test_a_search_trains_them_at_once(device: str, study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(study_file.parent)
    text = study_file.read_text().replace("freeze: {}", "freeze: {low: 9}")
    text = text.replace("  tail: {high: 3}", "  head_start: {starts: [random]}")
    study_file.write_text(text.replace("trials: 2", "trials: 5, parallel_heads: 4"))
    study = api.run_study(study_file, report=False, device=device, workers=1).study
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 5
