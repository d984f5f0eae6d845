"""Add a worker to a study that was started elsewhere; it runs trials until none are left."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import ArtifactsOption, DataOption, DeviceOption, StorageOption

SECTION, ORDER = "Search", 3


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: Annotated[str, typer.Argument(metavar="STUDY", help="Name of a study in the store.")],
    storage: StorageOption = None,
    device: DeviceOption = "auto",
    data: DataOption = None,
    artifacts: ArtifactsOption = None,
    optuna: Annotated[
        str | None,
        typer.Option(metavar="grpc://HOST:PORT", help="Reach Optuna's tables through `ftsearch serve-storage`."),
    ] = None,
    lease: Annotated[
        str | None,
        typer.Option(
            metavar="TIME",
            help="Time without a heartbeat after which its trials are taken over; the study's own by default.",
        ),
    ] = None,
    idle_exit: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="How long to wait for the study to appear and for new trials, such as 10m."),
    ] = None,
    final: Annotated[
        bool, typer.Option(help="Make the final model once the search is over, as the study file says.")
    ] = True,
    folder: Annotated[
        Path | None, typer.Option(help="Where logs go; runs/STUDY by default.", show_default=False)
    ] = None,
) -> None:
    from search.cli import _progress
    from search.cli._console import console, seconds_of, storage_url

    observer = _progress.lines(console())
    from search.api import join_study
    from search.workers.options import RunOptions

    join_study(
        study,
        folder=folder,
        proxy=optuna,
        lease_s=seconds_of("--lease", lease),
        idle_exit_s=seconds_of("--idle-exit", idle_exit) or 0.0,
        final=final,
        options=RunOptions(
            storage=storage_url(storage), device=device, data=data, observer=observer, artifacts=artifacts
        ),
    )
