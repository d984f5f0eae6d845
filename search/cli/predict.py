"""Say what an exported model sees in images."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption

if TYPE_CHECKING:
    from collections.abc import Iterable

    from search.predicting import Prediction

SECTION, ORDER = "Use", 1


def command(
    model: Annotated[Path, typer.Argument(metavar="MODEL_DIR", help="Folder that `ftsearch export` wrote.")],
    images: Annotated[Path, typer.Argument(metavar="IMAGE_OR_FOLDER", help="An image, or a folder with images in it.")],
    top: Annotated[int, typer.Option(min=1, help="Classes an image, the surest first.")] = 5,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print as CSV, a row a class.")] = False,
    as_json: JsonOption = False,
    format_name: Annotated[
        str | None, typer.Option("--format", metavar="FORMAT", help="File of the model to use: safetensors, pt2, ...")
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda or cuda:N.")] = "auto",
) -> None:
    from search.cli._console import console
    from search.errors import DataError, UserError
    from search.predicting import images_in, load_model, predict

    if as_csv and as_json:
        raise UserError("--json and --csv exclude each other; give one of them")
    paths = images_in(images)
    opened = load_model(model, format=format_name, device=device)
    found = list(predict(opened, paths, top))
    broken = [prediction for prediction in found if prediction.broken]
    if len(broken) == len(found):
        more = f", nor any of the {len(found) - 1} others" if len(found) > 1 else ""
        raise DataError(f"cannot read the image {broken[0].path}: {broken[0].broken}{more}; give another")
    _print(found, opened.facts.outputs, as_csv=as_csv, as_json=as_json)
    if broken:
        notes = console(stderr=True)
        for prediction in broken:
            notes.print(f"skipped {prediction.path}: {prediction.broken}", markup=False, soft_wrap=True)
        notes.print(f"{len(broken)} of {len(found)} images could not be read and were skipped", soft_wrap=True)


def _print(found: Iterable[Prediction], outputs: str, *, as_csv: bool, as_json: bool) -> None:
    import csv
    import sys

    from search.cli._console import console, print_json

    whole = [prediction for prediction in found if not prediction.broken]
    if as_json:
        print_json(
            [
                {"file": str(prediction.path), "answers": [answer._asdict() for answer in prediction.answers]}
                for prediction in whole
            ]
        )
        return
    if as_csv:
        writer = csv.writer(sys.stdout, lineterminator="\n")
        writer.writerow(("file", "rank", *(("name", "value") if outputs == "numbers" else ("class", "probability"))))
        for prediction in whole:
            for rank, answer in enumerate(prediction.answers, 1):
                writer.writerow((prediction.path, rank, answer.label, f"{answer.score:.6f}"))
        return
    screen = console()
    for prediction in whole:
        form = ".6g" if outputs == "numbers" else ".1%"
        said = ", ".join(f"{answer.label} {answer.score:{form}}" for answer in prediction.answers)
        screen.print(f"{prediction.path}: {said}", markup=False, soft_wrap=True)
