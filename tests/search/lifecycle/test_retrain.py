"""What confirmations and refits share: numbers and devices are checked, a worker takes what waits."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.api import confirm_study, join_study, load_study, refit_study
from search.errors import NotFoundError, UserError
from search.records.study import StudyRecord, TrialState
from search.workers.launchers import Placement


def confirm(url: str, **options: object) -> StudyRecord:
    return confirm_study("colours", storage=url, **options)  # type: ignore[arg-type]


def test_a_worker_of_the_study_takes_what_waits(url: str) -> None:
    confirm(url, top=1, seeds=1, only_enter=True)
    join_study("colours", storage=url)
    study = load_study("colours", storage=url)
    assert [run.state for run in study.repeats] == [TrialState.COMPLETE] * 2
    assert len(study.trials) == 3


def test_invalid_numbers_are_refused_and_leave_nothing_behind(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--top must be at least 1, got 0"):
        confirm(url, top=0)
    with pytest.raises(UserError, match="above 0 and at most 1, got 2"):
        confirm(url, fractions=(0.5, 2.0))
    with pytest.raises(UserError, match="--folds 11: the class 'blue' has 10 images"):
        confirm(url, folds=11)
    with pytest.raises(NotFoundError, match="did you mean 'colours'"):
        confirm_study("colour", storage=url)
    with pytest.raises(UserError, match="at least 1"):
        refit_study("colours", storage=url, epochs=0)
    with pytest.raises(UserError, match=r"--on: expected train\+val or train, got 'test'"):
        refit_study("colours", storage=url, on="test")
    with pytest.raises(NotFoundError, match="no trial 99"):
        refit_study("colours", storage=url, candidate="99")
    for device in ("tpu", "cuda:77"):
        with pytest.raises(UserError, match=f"device.*{device}"):
            confirm(url, device=device)
        with pytest.raises(UserError, match=f"device.*{device}"):
            refit_study("colours", storage=url, device=device)
    with pytest.raises(UserError, match="--launcher: expected one of"):
        confirm(url, placement=Placement("rey"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"broken.json is not a candidate"):
        refit_study("colours", storage=url, candidate=str(tmp_path / "broken.json"))
    found = load_study("colours", storage=url)
    assert (found.repeats, found.refits) == ((), ())
