"""Predictions on the screen, as CSV, as JSON, and as pictures."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from search.cli._console import console, print_json
from search.data.texts import Text, Words
from search.model.inputs import Item
from search.model.predict import Model, PredictedItem
from search.report import wording
from search.report.spreadsheet import write_rows

Written = Callable[[PredictedItem], PredictedItem]


def writer(model: Model, items: Sequence[Item], root: Path, pictures: Path | None, masks: Path | None) -> Written:
    """Return a function that writes a prediction's picture and mask to the folders given, then releases the mask.

    Raises:
        UserError: an input image would be overwritten.
    """
    if pictures is None and masks is None:
        return _without_mask
    from search.model import drawing  # the colours of figures are slow to load

    paths = [item for item in items if isinstance(item, Path)]
    drawn = drawing.places(pictures, paths, root, ".jpg") if pictures is not None else {}
    kept = drawing.places(masks, paths, root, ".png") if masks is not None else {}

    def write(prediction: PredictedItem) -> PredictedItem:
        source, predicted = prediction.source, prediction.predicted
        if isinstance(source, Path) and not prediction.broken:
            if source in drawn:
                drawing.write_picture(drawn[source], source, predicted, model.facts.classes)
            if source in kept and predicted.mask is not None:
                drawing.write_mask(kept[source], predicted.mask)
        return _without_mask(prediction)

    return write


def _without_mask(prediction: PredictedItem) -> PredictedItem:
    return replace(prediction, predicted=replace(prediction.predicted, mask=None))


def show(model: Model, predictions: Sequence[PredictedItem], *, as_csv: bool, as_json: bool) -> None:
    """Print the prediction for every input that could be read."""
    whole = [prediction for prediction in predictions if not prediction.broken]
    predicts, is_number = model.task.predicts, model.facts.outputs == "numbers"
    if as_json:
        print_json([_plain(prediction, predicts) for prediction in whole])
    elif as_csv:
        place = ("place", "text") if model.facts.texts is not None else ("file",)
        rows = ((*_place(prediction), *row) for prediction in whole for row in _rows(prediction, predicts))
        write_rows(sys.stdout, (*place, *_columns(predicts, is_number=is_number)), rows)
    else:
        screen = console()
        for prediction in whole:
            name = prediction.source.name if isinstance(prediction.source, Text | Words) else prediction.name
            screen.print(f"{name}: {_words(prediction, predicts, is_number=is_number)}", soft_wrap=True)


def _place(prediction: PredictedItem) -> tuple[str, ...]:
    source = prediction.source
    return (prediction.name, source.open()) if isinstance(source, Text | Words) else (prediction.name,)


def _columns(predicts: str, *, is_number: bool) -> tuple[str, ...]:
    if predicts == "boxes":
        return ("class", "score", "left", "top", "right", "bottom")
    if predicts == "masks":
        return ("class", "share")
    if predicts == "tags":
        return ("number", "word", "tag", "probability")
    return ("rank", "name", "value") if is_number else ("rank", "class", "probability")


def _rows(prediction: PredictedItem, predicts: str) -> Iterator[tuple[Any, ...]]:
    predicted = prediction.predicted
    if predicts == "boxes":
        for label, score, *sides in predicted.boxes:
            yield (label, f"{score:.6f}", *(f"{side:.1f}" for side in sides))
    elif predicts == "masks":
        for label, share in predicted.answers:
            yield label, f"{share:.6f}"
    elif predicts == "tags" and isinstance(prediction.source, Words):
        for number, (word, tag) in enumerate(zip(prediction.source.words, predicted.tags, strict=True), 1):
            yield (number, word, *(("", "") if tag is None else (tag.label, f"{tag.score:.6f}")))
    else:
        for rank, (label, score) in enumerate(predicted.answers, 1):
            yield rank, label, f"{score:.6f}"


def _words(prediction: PredictedItem, predicts: str, *, is_number: bool) -> str:
    predicted = prediction.predicted
    if predicts == "boxes":
        boxes = [
            f"{box.label} {wording.percent(box.score, 1)} "
            f"at {box.left:.0f},{box.top:.0f}-{box.right:.0f},{box.bottom:.0f}"
            for box in predicted.boxes
        ]
        return "; ".join(boxes) or "no box"
    if predicts == "tags":
        spans = [f"{span.text} {span.label} {wording.percent(span.score, 1)}" for span in predicted.spans]
        return ", ".join(spans) or "nothing"
    answers = [
        f"{answer.label} {f'{answer.score:.6g}' if is_number else wording.percent(answer.score, 1)}"
        for answer in predicted.answers
    ]
    return ", ".join(answers) or "nothing"


def _plain(prediction: PredictedItem, predicts: str) -> dict[str, Any]:
    """Return a prediction as JSON data."""
    source, predicted = prediction.source, prediction.predicted
    entry: dict[str, Any] = {"file": prediction.name}
    if isinstance(source, Text):
        entry = {"place": source.place, "text": source.text} | ({"pair": source.pair} if source.pair else {})
    elif isinstance(source, Words):
        entry = {"place": source.place, "words": list(source.words)}
    if predicts == "boxes":
        return entry | {"boxes": [box._asdict() for box in predicted.boxes]}
    if predicts == "tags":
        tags = [tag and tag._asdict() for tag in predicted.tags]
        return entry | {"tags": tags, "spans": [span._asdict() for span in predicted.spans]}
    return entry | {"answers": [answer._asdict() for answer in predicted.answers]}
