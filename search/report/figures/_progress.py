"""A study's progress, on three axes."""

from __future__ import annotations

from itertools import accumulate
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import wording

AXES = (
    ("trials", "trials that ended"),
    ("wall time", "wall time in minutes"),
    ("device time", "device time in minutes"),
)
"""Device time is the sum over all trials, each on its own device: GPU seconds if there is a GPU."""


class Progress(NamedTuple):
    """Ended trials in the order they ended, x by ``AXES``, and the best complete value so far."""

    trials: tuple[TrialRecord, ...]
    axes: tuple[tuple[float, ...], ...]
    best: tuple[float | None, ...]


def progress(study: StudyRecord) -> Progress | None:
    """Return the study's progress; None if no trial has ended with a value."""
    done = [trial for trial in study.trials if trial.finished_at is not None and wording.finite(trial.value)]
    done.sort(key=lambda trial: (trial.finished_at, trial.number))
    if not done:
        return None
    begin = min(trial.started_at or trial.finished_at for trial in done if trial.finished_at)
    best: list[float | None] = []
    for trial in done:
        last = best[-1] if best else None
        counts = trial.state is TrialState.COMPLETE and trial.value is not None
        best.append(trial.value if counts and (last is None or study.is_better(trial.value or 0.0, last)) else last)
    axes = (
        tuple(float(index) for index in range(1, len(done) + 1)),
        tuple((trial.finished_at - begin).total_seconds() / 60 for trial in done if trial.finished_at),
        tuple(accumulate(trial.seconds / 60 for trial in done)),
    )
    return Progress(tuple(done), axes, tuple(best))


def steps(best: tuple[float | None, ...]) -> list[int]:
    """Return the indices at which the best value changes, and the last one: enough to draw its line."""
    changes = [
        index for index, value in enumerate(best) if value is not None and (index == 0 or best[index - 1] != value)
    ]
    return sorted({*changes, len(best) - 1}) if changes else []
