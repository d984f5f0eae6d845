"""Put failed trials back into the queue: same number, same candidate, from their last checkpoint."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import StorageOption, StudyArgument

SECTION, ORDER = "Search", 5


def command(
    study: StudyArgument,
    failed: Annotated[bool, typer.Option("--failed", help="All failed trials.")] = False,
    trial: Annotated[list[int] | None, typer.Option(min=0, help="Only this trial; may be given several times.")] = None,
    storage: StorageOption = None,
) -> None:
    from search.cli._console import console, open_store, study_name
    from search.errors import UserError
    from search.records.command_line import command as proposed
    from search.store import writing

    if failed == bool(trial):
        raise UserError("say which trials: either --failed for all failed ones, or --trial NUMBER")
    name = study_name(study)
    with open_store(storage) as engine:
        numbers = writing.retry_failed(engine, name, None if failed else trial)
    missing = sorted(set(trial or ()) - set(numbers))
    if missing:
        listed = ", ".join(map(str, missing))
        raise UserError(f"no failed trial {listed} in {name}; `ftsearch status {name}` lists the failed ones")
    if not numbers:
        console().print(f"no failed trials in {name}")
        return
    listed = ", ".join(map(str, numbers))
    console().print(
        f"queued again: {listed}. Running workers pick them up; to start one: {proposed('worker', name)}",
        soft_wrap=True,
    )
