"""List the trials of a study, the best first."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import JsonOption, StorageOption, StudyArgument

SECTION, ORDER = "Review", 3


def command(
    study: StudyArgument,
    storage: StorageOption = None,
    as_json: JsonOption = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV, with a column per parameter.")] = False,
) -> None:
    import sys

    from search.cli import _outcome
    from search.cli._console import console, open_store, print_json, study_name
    from search.errors import UserError
    from search.report.spreadsheet import write_table
    from search.report.trial_data import plain, rows
    from search.store import reading

    if as_json and as_csv:
        raise UserError("--json and --csv exclude each other; give one of them")
    with open_store(storage) as engine:
        record = reading.load_study(engine, study_name(study), epochs=False)
    if as_json:
        print_json([plain(trial) for trial in record.trials])
    elif as_csv:
        write_table(sys.stdout, rows(record))
    else:
        console().print(_outcome.ranking_sheet(record))
        _outcome.show_front(console(), record)
        _outcome.show_warnings(console(), record)
