"""Add a worker: runs trials of a study that was started elsewhere, until it has all of them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import StorageOption

SECTION, ORDER = "Search", 3


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study in the store.")],
    storage: StorageOption = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
    data: Annotated[
        Path | None, typer.Option(help="Where the data set is on this machine; the study's own path by default.")
    ] = None,
    artifacts: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the folder of the study's checkpoints is mounted here.")
    ] = None,
    optuna: Annotated[
        str | None,
        typer.Option(metavar="grpc://HOST:PORT", help="Reach Optuna's part through `ftsearch serve-storage`."),
    ] = None,
    lease: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="After how long without a word its trials are taken over; the study's own."),
    ] = None,
    idle_exit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Wait so long for the study to be there, and for new trials: 10m."),
    ] = None,
    final: Annotated[
        bool, typer.Option(help="Make the final model once the search is over, as the study file says.")
    ] = True,
    folder: Annotated[
        Path | None, typer.Option(help="Where logs go; runs/STUDY by default.", show_default=False)
    ] = None,
) -> None:
    from search.api import join_study
    from search.cli._console import console, log_to, seconds_of, storage_url
    from search.cli._progress import Lines
    from search.workers.options import RunOptions

    log_to()
    join_study(
        study,
        folder=folder,
        proxy=optuna,
        lease_s=seconds_of("--lease", lease),
        idle_exit_s=seconds_of("--idle-exit", idle_exit) or 0.0,
        final=final,
        options=RunOptions(
            storage=storage_url(storage), device=device, data=data, observer=Lines(console()), artifacts=artifacts
        ),
    )
