"""The ranking as rows of text: its columns are defined once, for pages and terminals."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import wording

WINNER, PLAIN = "winner", "plain recipe"


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
    return ("rank", "trial", "state", wording.metric_name(study.metric), "params", "FLOPs", "time", "candidate")


def rows(study: StudyRecord, most: int | None = None, common: Sequence[str] = ()) -> list[Row]:
    """Return the trials in the order of ``ordered``, at most ``most``, without their parts in ``common``."""
    best = study.best
    return [row(trial, str(rank or ""), common, is_winner=trial is best) for rank, trial in ordered(study)[:most]]


def ordered(study: StudyRecord) -> list[tuple[int | None, TrialRecord]]:
    """Return complete trials with their ranks from best to worst, then infeasible, pruned, failed and unfinished ones
    without."""
    ranked = list(study.ranking)
    sign = -1.0 if study.maximize else 1.0
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED]
    broken = [trial for trial in study.trials if trial.state is TrialState.COMPLETE and trial.broken]
    for trials in (broken, pruned):
        trials.sort(key=lambda trial: (sign * (trial.value or 0.0), trial.number))
    listed = {trial.number for trial in (*ranked, *broken, *pruned)}
    rest = [trial for trial in study.trials if trial.number not in listed]
    return [*enumerate(ranked, 1), *((None, trial) for trial in (*broken, *pruned, *rest))]


def kind(line: Row) -> str:
    """Return how a row is marked: ``best``, ``plain`` for the plain recipe, else empty."""
    return "best" if line.state.startswith(WINNER) else "plain" if line.state.startswith(PLAIN) else ""


def row(trial: TrialRecord, rank: str = "", common: Sequence[str] = (), *, is_winner: bool = False) -> Row:
    """Return a trial's row of a ranking; its candidate without the parts that all have in ``common``."""
    size, marks = trial.size, [WINNER] * is_winner
    marks += [PLAIN] * (trial.is_baseline and trial.state is TrialState.COMPLETE)
    state = ", ".join(marks) or trial.state.value
    return Row(
        rank,
        str(trial.number),
        f"{state}, breaks {' and '.join(trial.broken)}" if trial.broken else state,
        wording.number(trial.value),
        wording.count(size.parameters) if size else "–",
        wording.count(size.flops) if size else "–",
        wording.duration(trial.seconds) if trial.seconds else "–",
        without(trial.words, common) or trial.ended,
    )


def shared(study: StudyRecord) -> str:
    """Return a sentence on what all candidates have in common: ``All of them: MobileNetV2.``; empty for nothing."""
    common = ", ".join(constant_parts(study.trials))
    return f"All of them: {common}." if common and len(study.trials) > 1 else ""


def constant_parts(trials: Iterable[TrialRecord]) -> tuple[str, ...]:
    """Return the parts of the candidates' words that all ``trials`` share, so that they are stated only once."""
    common: list[str] | None = None
    for trial in trials:
        if trial.words:
            parts = trial.words.split(", ")
            common = parts if common is None else [part for part in common if part in parts]
            if not common:
                return ()
    return tuple(common or ())


def without(words: str, parts: Sequence[str]) -> str:
    """Return a candidate's words without those ``parts``; all of them where nothing else is left."""
    return ", ".join(part for part in words.split(", ") if part not in parts) or words
