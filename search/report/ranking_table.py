"""The ranking as rows of text: its columns are defined once, for pages and terminals."""

from __future__ import annotations

from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import theme


class Row(NamedTuple):
    """One trial in the ranking; every cell is text, in the order of ``headings``."""

    rank: str
    number: str
    state: str
    value: str
    parameters: str
    flops: str
    seconds: str
    words: str


def headings(study: StudyRecord) -> tuple[str, ...]:
    """Return the headings of the columns."""
    return ("rank", "trial", "state", theme.metric_name(study.metric), "params", "FLOPs", "time", "candidate")


def rows(study: StudyRecord, most: int | None = None, begin: int = 0) -> list[Row]:
    """Return rows of complete trials from best to worst, then of infeasible, pruned, failed and unfinished ones.

    At most ``most`` rows, from the ``begin``-th on.
    """
    ranked = list(study.ranking)
    sign = -1.0 if study.maximize else 1.0
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    broken = [trial for trial in study.trials if trial.state is TrialState.COMPLETE and trial.broken]
    for trials in (broken, pruned):
        trials.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    listed = {trial.number for trial in (*ranked, *broken, *pruned)}
    rest = [trial for trial in study.trials if trial.number not in listed]
    ordered = [*ranked, *broken, *pruned, *rest]
    end = len(ordered) if most is None else begin + most
    return [
        row(trial, str(index) if index <= len(ranked) else "")
        for index, trial in enumerate(ordered[begin:end], begin + 1)
    ]


def row(trial: TrialRecord, rank: str = "") -> Row:
    """Return a trial's row of a ranking."""
    size = trial.size
    state = "plain recipe" if trial.is_baseline and trial.state is TrialState.COMPLETE else trial.state.value
    return Row(
        rank,
        str(trial.number),
        f"{state}, breaks {' and '.join(trial.broken)}" if trial.broken else state,
        theme.number(trial.value),
        theme.count(size.parameters) if size else "–",
        theme.count(size.flops) if size else "–",
        theme.duration(trial.seconds) if trial.seconds else "–",
        trial.words or trial.ended,
    )
