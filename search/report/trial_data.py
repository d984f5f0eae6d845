"""Trials as data for programs: JSON and tables."""

from __future__ import annotations

import math
from typing import Any

from search.records.study import StudyRecord, TrialRecord
from search.report.origin import found_by


def plain(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial in JSON form."""
    size = trial.size
    return {
        "number": trial.number,
        "state": trial.state.value,
        "value": trial.value,
        "is_baseline": trial.is_baseline,
        "found_by": found_by(trial),
        "words": trial.words,
        "candidate": trial.candidate,
        "params": dict(trial.params),
        "best_epoch": trial.best_epoch,
        "parameters": size.parameters if size else None,
        "trained": size.trained if size else None,
        "flops": size.flops if size else None,
        "seconds": trial.seconds,
        "ended": trial.ended,
        "failure": trial.failure.kind if trial.failure else None,
        "started_at": trial.started_at and trial.started_at.isoformat(),
        "finished_at": trial.finished_at and trial.finished_at.isoformat(),
        "seed": trial.seed,
        "worker": trial.worker,
        "checkpoint": trial.checkpoint,
        "latency_ms": trial.extras.get("latency_ms"),
        "latency_quartiles_ms": trial.extras.get("latency_quartiles_ms"),
        "objectives": dict(trial.objectives),
        "constraints": dict(trial.constraints),
    }


def rows(study: StudyRecord) -> list[dict[str, Any]]:
    """Return one flat row per trial, with one column per parameter."""
    names = sorted({name for trial in study.trials for name in trial.params})
    front = {trial.number for trial in study.front}
    several = study.objectives if len(study.objectives) > 1 else ()
    nested = ("candidate", "params", "objectives", "constraints", "latency_quartiles_ms")
    table = []
    for trial in study.trials:
        row = {key: value for key, value in plain(trial).items() if key not in nested}
        row |= {f"objective.{one.name}": trial.objectives.get(one.name) for one in several}
        row |= {"on_front": trial.number in front} if several else {}
        row["broken"] = "; ".join(trial.broken)
        table.append(row | {name: trial.params.get(name) for name in names})
    return table


def finite(value: Any) -> Any:
    """Return JSON data with null in place of NaN and infinity."""
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if isinstance(value, dict):
        return {key: finite(inner) for key, inner in value.items()}
    return [finite(inner) for inner in value] if isinstance(value, list | tuple) else value
