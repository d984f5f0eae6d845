"""The Pareto front of a study with several objectives as rows of text, for pages and terminals alike."""

from __future__ import annotations

from search.records.objectives import COSTS, QUANTISED
from search.records.plain_text import numbered
from search.records.study import CLOCK_TOLERANCE, Objective, StudyRecord, TrialRecord
from search.report import wording

HEADING = "Pareto front"
_NAMES = {"flops": "FLOPs", "train_seconds": "train seconds", "checkpoint_bytes": "checkpoint"}


EVERYWHERE = ("parameters", "flops")
"""Objectives that every page shows for every trial, whether or not the study has them."""


def columns(study: StudyRecord) -> tuple[str, ...]:
    """Return the headings of the front's table; empty for a study of one objective."""
    wanted = study.objectives
    return ("trial", *(name(one, study.metric) for one in wanted), "candidate") if len(wanted) > 1 else ()


def rows(study: StudyRecord) -> list[tuple[str, ...]]:
    """Return a row for every trial that no other beats in all objectives, in the order of ``columns``."""
    if not columns(study):
        return []
    return [(str(trial.number), *(_cell(one, trial) for one in study.objectives), trial.words) for trial in study.front]


def sentence(study: StudyRecord) -> str:
    """Return how many trials are on the front, in one sentence."""
    counted, of = len(study.front), f"of {numbered(len(study.ranking), 'complete trials')}"
    *others, last = (
        f"{name(one, study.metric)} ({'more' if one.maximize else 'less'} is better)" for one in study.objectives
    )
    return (
        f"{counted} {of} {'is' if counted == 1 else 'are'} beaten by no other in all of {', '.join(others)} and {last}."
        f"{_tolerance(study)}"
    )


def _tolerance(study: StudyRecord) -> str:
    clocked = [name(one, study.metric) for one in study.objectives if one.tolerance]
    if not clocked:
        return ""
    verb = "counts" if len(clocked) == 1 else "count"
    named = " and ".join(clocked).capitalize()
    return f" {named} within {100 * CLOCK_TOLERANCE:.0f} % of another {verb} as equal: clocks vary."


def name(objective: Objective, metric: str) -> str:
    """Return an objective's name in tables; ``metric`` is its study's first one."""
    if objective.name == QUANTISED:
        return f"int8 {wording.metric_name(metric)}"
    own = objective.name
    return _NAMES.get(own, own if own in COSTS else wording.metric_name(own))


def further(study: StudyRecord, trial: TrialRecord) -> list[tuple[str, str]]:
    """Return the trial's values, as text, of all objectives but the first and those shown ``EVERYWHERE``."""
    return [
        (_cell(one, trial), name(one, study.metric))
        for one in study.objectives[1:]
        if one.name in trial.objectives and one.name not in EVERYWHERE
    ]


def cell(quantity: str, value: float) -> str:
    """Return a metric or cost as shown to people."""
    match quantity:
        case "parameters" | "flops":
            return wording.count(value)
        case "latency":
            return f"{value:.3g} ms"
        case "train_seconds":
            return wording.duration(value)
        case "checkpoint_bytes":
            return f"{wording.count(value)}B"
    return wording.number(value)


def _cell(objective: Objective, trial: TrialRecord) -> str:
    value = trial.objectives.get(objective.name, trial.value)
    if value is None:
        return "–"
    between = trial.extras.get("latency_quartiles_ms") if objective.name == "latency" else None
    return cell(objective.name, value) + (f" ({between[0]:.3g} to {between[1]:.3g})" if between else "")
