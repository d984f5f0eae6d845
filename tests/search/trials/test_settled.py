"""A study that has found what its validation samples can tell apart needs no more trials."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from search.records.study import PastTrial
from search.sampling import termination
from search.store import reading
from search.trials.context import TrialContext
from search.trials.settled import Settlement
from search.workers import worker
from search.workers.shutdown import StopSignal


@pytest.fixture(autouse=True)
def _asking(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("trials: 2", "trials: 4, stop: auto"))


def test_a_settled_study_ends_before_it_has_all_its_trials(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def bound(trials: Sequence[PastTrial], *, maximize: bool) -> float:
        return 0.001 if len(trials) >= 2 else 1.0

    monkeypatch.setattr(termination, "promised", bound)
    worker.work(context, StopSignal())
    study = reading.load_study(context.engine, "colours")
    assert len(study.trials) == study.target == 2
    assert "the search ends: no further candidate promises more than 0.001 accuracy" in caplog.text


def test_a_study_that_does_not_ask_for_it_is_never_settled(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(termination, "promised", lambda *_, **__: 0.0)
    spec = context.runtime.spec
    spec = replace(spec, search=replace(spec.search, stop="off"))
    asked = replace(context, runtime=replace(context.runtime, spec=spec))
    assert not Settlement(asked).look()
