"""Run an exported model on images or texts and print its predictions."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import DeviceOption, JsonOption

if TYPE_CHECKING:
    from search.model.predict import Model

SECTION, ORDER = "Use", 1


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="Folder that `ftsearch export` wrote.")],
    place: Annotated[
        Path,
        typer.Argument(
            metavar="IMAGE_OR_FOLDER",
            help="An image or a folder of images; for text models a file: .txt (a text per line), .csv, .tsv, .jsonl, "
            "or .conll for token models.",
        ),
    ],
    top: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="Classes or boxes to print per input, most confident first.",
            show_default="5 classes, all boxes",
        ),
    ] = None,
    threshold: Annotated[
        float | None,
        typer.Option(min=0.0, max=1.0, help="Lowest score to return.", show_default="0.5 for boxes, else everything"),
    ] = None,
    pictures: Annotated[
        Path | None, typer.Option(metavar="DIR", help="Write the images with boxes or masks drawn on them.")
    ] = None,
    masks: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR", help="Write masks at the images' own size: palette PNGs whose values are class indices."
        ),
    ] = None,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV: a row per class, box or word.")] = False,
    as_json: JsonOption = False,
    text_column: Annotated[
        str, typer.Option(metavar="NAME", help="Text column of a table.", show_default="as in the study's data")
    ] = "",
    pair_column: Annotated[
        str,
        typer.Option(metavar="NAME", help="Column of a pair's second text.", show_default="as in the study's data"),
    ] = "",
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="File of the model to use: safetensors, pt2, ...")
    ] = None,
    trust: Annotated[
        bool,
        typer.Option("--trust", help="Also open pt2 files, which can run arbitrary code from whoever made the model."),
    ] = False,
    device: DeviceOption = "auto",
) -> None:
    from search.cli._console import console
    from search.cli._working import working
    from search.errors import DataError, UserError

    if as_csv and as_json:
        raise UserError("--json and --csv exclude each other; give one of them")
    notes = console(stderr=True)
    with working(notes, "loading libraries") as say:
        from search.cli import _prediction
        from search.model.predict import items_in, load_model, predict
        from search.training.memory_budget import keep_memory

        say("loading the model")
        keep_memory()
        opened = load_model(model, format=format_name, device=device, trust=trust)
        _check(opened, pictures, masks, threshold)
        items = items_in(opened, place, text_column, pair_column)
        written = _prediction.writer(opened, items, place, pictures, masks)
        say("predicting")
        predictions = [written(prediction) for prediction in predict(opened, items, top, threshold)]
    broken = [prediction for prediction in predictions if prediction.broken]
    kind = opened.inputs.kind if opened.inputs else "inputs"
    if len(broken) == len(predictions):
        what = f"the image {broken[0].name}: {broken[0].broken}" if kind == "images" else f"texts: {broken[0].broken}"
        more = f", nor any of the {len(predictions) - 1} others" if len(predictions) > 1 else ""
        raise DataError(f"cannot read {what}{more}; give another")
    _prediction.show(opened, predictions, as_csv=as_csv, as_json=as_json)
    for prediction in broken:
        predicted = f"{prediction.name}: {prediction.broken}" if kind == "images" else prediction.broken
        notes.print(f"skipped {predicted}", soft_wrap=True)
    if broken:
        notes.print(f"{len(broken)} of {len(predictions)} {kind} could not be read and were skipped")
    if cut := sum(None in prediction.predicted.tags for prediction in predictions):
        notes.print(f"{cut} of {len(predictions)} sentences are too long: their last words have no tag")
    for what, folder in (("Masks", masks), ("Pictures", pictures)):
        if folder is not None:
            notes.print(f"{what}: {folder}", soft_wrap=True)


def _check(model: Model, pictures: Path | None, masks: Path | None, threshold: float | None) -> None:
    """Refuse options that do not apply to the model.

    Raises:
        UserError: one is given.
    """
    from search.errors import UserError

    task = f"this model's task is {model.facts.task}"
    if masks is not None and model.task.predicts != "masks":
        raise UserError(f"--masks is for models that predict the class of every pixel; {task}")
    if pictures is not None and model.task.predicts not in ("boxes", "masks"):
        raise UserError(f"--pictures is for models that predict boxes or masks; {task}")
    if threshold is not None and (model.facts.outputs == "numbers" or model.task.predicts == "masks"):
        raise UserError(f"--threshold applies to scores; {task}, which has none")
    least = getattr(model.task.chosen, "least_score", 0.0)
    if threshold is not None and threshold < least:
        raise UserError(f"--threshold: this model returns nothing below {least:g} (`least_score`), got {threshold:g}")
