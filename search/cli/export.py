"""Write a trained candidate to a folder: weights, graph formats, preprocessing, model card, checksums."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import (
    ArtifactsOption,
    DataOption,
    JsonOption,
    StorageOption,
    StudyArgument,
    show_next,
    styled,
)

SECTION, ORDER = "Use", 0


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: StudyArgument,
    candidate: Annotated[
        str,
        typer.Option(
            metavar="best|baseline|TRIAL|refit",
            help="The best trial, the plain recipe, a trial whose weights were kept, or the newest refit.",
        ),
    ] = "best",
    formats: Annotated[
        list[str] | None,
        typer.Option(
            "--format",
            metavar="FORMAT",
            help="safetensors, pt2 or onnx; may be given several times.",
            show_default="safetensors",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o",
            "--output",
            metavar="DIR",
            help="Output folder; an earlier model in it is replaced.",
            show_default="runs/STUDY/model",
        ),
    ] = None,
    fold_bn: Annotated[bool, typer.Option("--fold-bn", help="Fold batch norms into the layers before them.")] = False,
    calibrate: Annotated[
        bool,
        typer.Option("--calibrate", help="Fit a temperature to the validation samples, so that scores are calibrated."),
    ] = False,
    merge_lora: Annotated[
        bool,
        typer.Option(
            "--merge-lora",
            help="Merge low-rank updates into the weights; always on, as checkpoints hold the merged weights.",
        ),
    ] = True,
    images: Annotated[
        int, typer.Option(min=0, help="Validation samples on which each file is compared with the network; 0 for all.")
    ] = 64,
    data: DataOption = None,
    artifacts: ArtifactsOption = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    del merge_lora
    from dataclasses import asdict

    from search.cli._console import console, print_json, storage_url, study_name
    from search.cli._working import working

    screen = console(stderr=as_json)
    with working(screen, "loading libraries") as say:
        from search.lifecycle.export import export_study
        from search.training.calibration import fit_temperature
        from search.training.memory_budget import keep_memory
        from search.workers.options import RunOptions

        keep_memory()
        say("reading the study")
        done = export_study(
            study_name(study),
            candidate=candidate,
            formats=tuple(formats or ("safetensors",)),
            output=output,
            fold_bn=fold_bn,
            compared=images,
            calibrate=fit_temperature if calibrate else None,
            progress=lambda what, number, total: say(f"{what}: {number} of {total}"),
            options=RunOptions(storage=storage_url(storage), data=data, artifacts=artifacts),
        )
    facts = done.facts
    if as_json:
        print_json({"folder": str(done.folder), "notes": list(done.notes), "failed": done.failed, **asdict(facts)})
        raise typer.Exit(1 if done.failed else 0)
    title = "Refit" if facts.trial is None else f"Trial {facts.trial}"
    screen.print(styled((title, "bold"), f": {facts.words}"))
    screen.print(f"On {facts.images} {facts.measured_on}:")
    for name, value in facts.metrics.items():
        stored = f" (the search stored {facts.stored[name]:.4f})" if name in facts.stored else ""
        screen.print(f"{name} {value:.4f}{stored}")
    if facts.temperature != 1:
        screen.print(f"temperature {facts.temperature:.4f}, by which logits are divided before softmax")
    for check in facts.checks:
        screen.print(
            f"{check.file}: outputs differ by {check.difference:.1e} of the largest (allowed {check.allowed:.0e}), "
            f"same answer for {check.agreeing} of {check.images} validation {facts.kind}"
        )
    for name, reason in done.failed.items():
        screen.print(f"{name} was not written: {reason}", style="red")
    for note in done.notes:
        screen.print(f"note: {note}", style="yellow")
    screen.print(f"Model: {done.folder}", soft_wrap=True)
    show_next(screen, "predict", done.folder, facts.place)
    raise typer.Exit(1 if done.failed else 0)
