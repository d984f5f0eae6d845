"""List the trials of a study, the best first."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import typer

from search.cli._console import JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from search.records import StudyRecord, TrialRecord

SECTION, ORDER = "Review", 3


def command(
    study: StudyArgument,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV, a column a parameter.")] = False,
) -> None:
    import csv
    import sys

    from search.cli import _outcome
    from search.cli._console import console, open_store, print_json, study_name
    from search.errors import UserError
    from search.store import reading

    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; give one of them")
    record = reading.load_study(open_store(storage), study_name(study), epochs=False)
    if as_json:
        print_json([plain(trial) for trial in record.trials])
    elif as_csv:
        rows = _rows(record)
        writer = csv.DictWriter(sys.stdout, fieldnames=list(rows[0]) if rows else ["number", "state", "value"])
        writer.writeheader()
        writer.writerows(rows)
    else:
        console().print(_outcome.ranking_table(record))


def plain(trial: TrialRecord) -> dict[str, Any]:
    """Return a trial as data for programs."""
    size = trial.size
    return {
        "number": trial.number,
        "state": trial.state.value,
        "value": trial.value,
        "is_baseline": trial.is_baseline,
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
        "seed": trial.seed,
        "worker": trial.worker,
        "checkpoint": trial.checkpoint,
    }


def _rows(study: StudyRecord) -> list[dict[str, Any]]:
    names = sorted({name for trial in study.trials for name in trial.params})
    rows = []
    for trial in study.trials:
        row = {key: value for key, value in plain(trial).items() if key not in ("candidate", "params")}
        rows.append(row | {name: trial.params.get(name) for name in names})
    return rows
