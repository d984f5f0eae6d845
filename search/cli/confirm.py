"""Train the best candidates and the plain recipe again with fresh seeds, to tell a better one from a lucky one."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import ArtifactsOption, DataOption, DeviceOption, JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from rich.console import Console

    from search.records.study import StudyRecord

SECTION, ORDER = "Use", 1


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: StudyArgument,
    top: Annotated[int, typer.Option(help="Number of best candidates to train again besides the plain recipe.")] = 3,
    seeds: Annotated[
        int, typer.Option(help="Fresh seeds per candidate; a higher number adds to the runs already done.")
    ] = 5,
    folds: Annotated[
        int,
        typer.Option(help="Cross-validation folds over training and validation data; 1 keeps the study's own split."),
    ] = 1,
    fractions: Annotated[
        str, typer.Option(metavar="SHARES", help="Shares of the training data: 0.1,0.25,1 gives a learning curve.")
    ] = "1",
    retry: Annotated[bool, typer.Option("--retry", help="Repeat failed trainings.")] = False,
    enqueue: Annotated[
        bool, typer.Option("--enqueue", help="Only queue the trainings for the study's workers.")
    ] = False,
    workers: Annotated[
        int | None, typer.Option(min=1, help="Worker processes.", show_default="one for every GPU, at least one")
    ] = None,
    per_gpu: Annotated[int, typer.Option(min=1, help="Workers per GPU.")] = 1,
    device: DeviceOption = "auto",
    data: DataOption = None,
    artifacts: ArtifactsOption = None,
    launcher: Annotated[
        str, typer.Option("--launcher", "--engine", help="What starts the workers: local, ray or slurm.")
    ] = "local",
    address: Annotated[str | None, typer.Option(help="Address of the Ray cluster; auto finds a running one.")] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli import _progress
    from search.cli._console import console, print_json, storage_url, study_name
    from search.records.command_line import command as proposed
    from search.records.plain_text import numbered
    from search.report import confirmed

    shares = _shares(fractions)
    screen = console(stderr=as_json)
    with _progress.show(screen, "training") as observer:
        from search.lifecycle import confirm
        from search.workers.launchers import Placement
        from search.workers.options import RunOptions

        record = confirm.confirm_study(
            study_name(study),
            top=top,
            seeds=seeds,
            folds=folds,
            fractions=shares,
            retry=retry,
            only_enter=enqueue,
            options=RunOptions(
                storage=storage_url(storage),
                workers=workers,
                device=device,
                data=data,
                artifacts=artifacts,
                observer=observer,
                placement=Placement(launcher, per_gpu, address),
            ),
        )
    if as_json:
        print_json([row._asdict() for row in confirmed.confirmed(record)])
    else:
        _show(record, screen)
    left = sum(not run.state.is_finished for run in record.repeats)
    if left and enqueue:
        screen.print(
            f"Queued: {numbered(left, 'trainings')}. Running workers pick them up; to start one: "
            f"{proposed('worker', record.name)}"
        )
    elif left:
        screen.print(f"Stopped early; continue with: {proposed('confirm', record.name)}", soft_wrap=True)
    if not any(run.value is not None for run in record.repeats) and not left:
        raise typer.Exit(1)


def _show(record: StudyRecord, screen: Console) -> None:
    from search.cli import _outcome
    from search.cli._tables import Sheet
    from search.report import confirmed

    lines = confirmed.lines(record)
    if lines:
        screen.print(Sheet(confirmed.HEAD, lines, left=confirmed.HEAD))
    for sentence in confirmed.sentences(record):
        screen.print(sentence)
    _outcome.show_warnings(screen, record)


def _shares(text: str) -> tuple[float, ...]:
    from search.errors import UserError

    try:
        return tuple(float(part) for part in text.split(",") if part.strip())
    except ValueError as error:
        raise UserError(f"--fractions: expected numbers such as 0.1,0.25,1, got {text!r}") from error
