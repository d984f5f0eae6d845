"""Start a study, or continue it; ends with the ranking and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import StorageOption

SECTION, ORDER = "Search", 2


def command(
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    trials: Annotated[
        int | None, typer.Option(min=1, help="Trials the study shall have in the end; more continues a finished one.")
    ] = None,
    timeout: Annotated[
        str | None, typer.Option(metavar="TIME", help="Start no further trial after this long: 2h, 30m, 45s.")
    ] = None,
    workers: Annotated[int, typer.Option(min=1, help="Processes that run trials on this machine.")] = 1,
    storage: StorageOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    report: Annotated[bool, typer.Option(help="Write the HTML report at the end.")] = True,
) -> None:
    from search import api
    from search.cli import _outcome, _progress
    from search.cli._console import console, storage_url
    from search.errors import UserError
    from search.spec import parse_duration

    try:
        timeout_s = parse_duration(timeout) if timeout is not None else None
    except ValueError as error:
        raise UserError(f"--timeout: {error}") from error
    if timeout_s is not None and timeout_s <= 0:
        raise UserError(f"--timeout: expected a time above 0, got {timeout!r}")
    screen = console()
    with _progress.show(screen) as observer:
        result = api.run_study(
            study,
            storage=storage_url(storage),
            trials=trials,
            timeout_s=timeout_s,
            workers=workers,
            device=device,
            observer=observer,
            report=report,
        )
    _outcome.show(screen, result, study, storage)
    if result.study.trials and not result.study.ranking and not result.stopped:
        raise typer.Exit(1)
