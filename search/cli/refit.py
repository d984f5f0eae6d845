"""Train one candidate for use and score it once on the test images."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import ArtifactsOption, DataOption, DeviceOption, JsonOption, StorageOption, StudyArgument

SECTION, ORDER = "Use", 2


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: StudyArgument,
    candidate: Annotated[
        str,
        typer.Option(
            metavar="best|baseline|TRIAL|refit|FILE.json",
            help="A trial of the study, its newest refit's candidate, or a file.",
        ),
    ] = "best",
    on: Annotated[str, typer.Option(metavar="train+val|train", help="Data to train on.")] = "train+val",
    epochs: Annotated[int | None, typer.Option(help="Epochs to train.", show_default="twice the study's")] = None,
    ema: Annotated[bool, typer.Option("--ema", help="Keep a moving average of the weights.")] = False,
    tta: Annotated[
        bool,
        typer.Option(
            "--tta",
            help="Also score predictions averaged over views of each test image; the exported model does not average.",
        ),
    ] = False,
    device: DeviceOption = "auto",
    data: DataOption = None,
    artifacts: ArtifactsOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from dataclasses import asdict

    from search.cli import _outcome, _progress
    from search.cli._console import console, print_json, storage_url, study_name
    from search.errors import RunError
    from search.records.study import TrialState
    from search.report import confirmed

    screen = console(stderr=as_json)
    with _progress.show(screen, "refit") as observer:
        from search.api import refit_study
        from search.workers.options import RunOptions

        record, refit = refit_study(
            study_name(study),
            candidate=candidate,
            on=on,
            epochs=epochs,
            ema=ema,
            tta=tta,
            options=RunOptions(
                storage=storage_url(storage), device=device, data=data, artifacts=artifacts, observer=observer
            ),
        )
    if refit.state is TrialState.FAILED:
        raise RunError(f"the refit failed: {refit.ended}")
    if as_json:
        print_json(asdict(refit))
        return
    if refit.state is not TrialState.COMPLETE:
        screen.print("Stopped early; the same command continues from its last checkpoint.")
        return
    screen.print(confirmed.refit_sentence(record, refit))
    _outcome.show_warnings(screen, record)
    screen.print(f"Weights: {refit.checkpoint} among the study's checkpoints", soft_wrap=True)
