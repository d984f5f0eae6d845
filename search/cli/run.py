"""Start a study, or continue it; ends with the ranking and a report."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import DeviceOption, StorageOption

SECTION, ORDER = "Search", 2


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file.")],
    trials: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=999_999,
            help="Total number of trials: a higher one continues a finished study, a lower one ends it sooner.",
        ),
    ] = None,
    timeout: Annotated[
        str | None,
        typer.Option(metavar="TIME", help="Time limit of the whole run, the final model included: 2h, 30m, 45s."),
    ] = None,
    sampler: Annotated[
        str | None,
        typer.Option(
            metavar="NAME",
            help="Sampler: tpe, cost_aware, nsga2, nsga3, random, or optunahub:samplers/NAME from a folder on this "
            "machine (FTSEARCH_OPTUNAHUB) or an installed package.",
            show_default="the study file's",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(min=1, help="Worker processes.", show_default="one for every GPU, at least one"),
    ] = None,
    per_gpu: Annotated[int, typer.Option(min=1, help="Workers per GPU.")] = 1,
    storage: StorageOption = None,
    device: DeviceOption = "auto",
    artifacts: Annotated[
        str | None,
        typer.Option(
            metavar="PLACE",
            help="Where a new study's checkpoints go: a folder that all workers reach, or s3://BUCKET/PREFIX.",
            show_default="runs/STUDY",
        ),
    ] = None,
    launcher: Annotated[
        str, typer.Option("--launcher", "--engine", help="What starts the workers: local, ray or slurm.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Address of the Ray cluster; auto finds a running one.")] = None,
    launcher_option: Annotated[
        list[str] | None,
        typer.Option(
            "--launcher-option",
            "--engine-option",
            metavar="KEY=VALUE",
            help="Setting of the launcher, such as partition=gpu for slurm.",
        ),
    ] = None,
    optuna: Annotated[
        str | None,
        typer.Option(metavar="grpc://HOST:PORT", help="Reach Optuna's tables through `ftsearch serve-storage`."),
    ] = None,
    final: Annotated[
        bool,
        typer.Option(
            help="Finish with a model for use: the winner, trained on training and validation data together, exported "
            "to runs/STUDY/model."
        ),
    ] = True,
    report: Annotated[bool, typer.Option(help="Write the HTML report at the end.")] = True,
) -> None:
    from search.cli import _progress
    from search.cli._console import console, process_begin, seconds_of, storage_url

    screen, since = console(), process_begin()
    with _progress.show(screen) as observer:
        from search.api import run_study
        from search.cli import _outcome
        from search.workers.launchers import Placement
        from search.workers.options import RunOptions

        placement = Placement(launcher, per_gpu, address, optuna, _pairs(launcher_option or []))
        result = run_study(
            study,
            trials=trials,
            timeout_s=seconds_of("--timeout", timeout),
            sampler=sampler,
            report=report,
            final=final,
            since=since,
            options=RunOptions(
                storage=storage_url(storage),
                workers=workers,
                device=device,
                observer=observer,
                artifacts=artifacts,
                placement=placement,
            ),
        )
    _outcome.show(screen, result, study, storage)
    if result.study.trials and not result.study.ranking and not result.stopped:
        raise typer.Exit(1)


def _pairs(texts: list[str]) -> dict[str, str]:
    from search.errors import UserError

    wrong = [text for text in texts if "=" not in text]
    if wrong:
        raise UserError(f"--launcher-option: expected KEY=VALUE, got {wrong[0]!r}")
    return dict(text.split("=", 1) for text in texts)
