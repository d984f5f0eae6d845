"""Validation samples side by side: the truth on the left, the prediction on the right."""

from __future__ import annotations

import base64
import binascii
import io
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import plotly.graph_objects as go
from PIL import Image

from search.records.study import Box, Picture
from search.report import theme, wording
from search.report.theme import class_colour, rgb
from search.report.thumbnails import data_uri, thumbnail

SHOWN = 8
_UNIT = 250
"""Width of one image in a wide window, in screen pixels; a phone shows two side by side at about 170."""
_PIXELS = 360
_GAP, _LINE, _TALLEST = 0.04, 0.1, 1.4
_IOU = 0.5
_OPACITY = 0.55
_LARGEST_MASK = 1 << 22
"""Most pixels of a stored mask; those that a search stores are far smaller."""


class _Cell(NamedTuple):
    """One image of the figure: its corner and size in image widths, and its content."""

    left: float
    top: float
    width: float
    height: float
    image: Image.Image | None
    boxes: tuple[tuple[Box, bool], ...]


class _Block(NamedTuple):
    """A sample in the drawing: its images, and the words below them."""

    images: tuple[tuple[Image.Image | None, tuple[tuple[Box, bool], ...]], ...]
    words: str

    @property
    def height(self) -> float:
        tallest = max((_size(image)[1] for image, _ in self.images), default=0.0)
        return tallest + _LINE * (self.words.count("<br>") + 1) + _GAP


def gallery(pictures: Sequence[Picture], classes: Sequence[str]) -> go.Figure:
    """Return a drawing of ``pictures``: boxes and masks twice, true and predicted; plain images two per row.

    A box is solid if the other side has one of its class that overlaps by half or more, else dotted.
    Samples whose image files cannot be reached are described in words.
    """
    figure = go.Figure()
    cells: list[_Cell] = []
    texts: list[tuple[float, float, str]] = []
    top, down = 0.02, 0.0
    blocks = [_block(picture) for picture in pictures]
    if any(len(block.images) == 2 for block in blocks):
        top = 0.14
        texts += [(0.0, top, "<b>true</b>"), (1 + _GAP, top, "<b>predicted</b>")]
    for line in _lines(blocks):
        for index, block in enumerate(line):
            left = index * (1 + _GAP)
            placed = [
                _cell(image, left + side * (1 + _GAP), down, boxes) for side, (image, boxes) in enumerate(block.images)
            ]
            cells += placed
            texts.append((left, down - max((cell.height for cell in placed), default=0.0) - 0.01, block.words))
        down -= max(block.height for block in line)
    _draw_cells(figure, cells, {name: index for index, name in enumerate(classes)})
    _write(figure, texts)
    _draw_masks_legend(figure, pictures, classes)
    figure = theme.styled(figure, height=int((top - down) * _UNIT) + 60)
    figure.update_layout(margin={"l": 4, "r": 4, "t": 44, "b": 8})
    plain = {"visible": False, "fixedrange": True, "constrain": "domain"}
    figure.update_xaxes(range=[0, 2 + _GAP], constraintoward="left", **plain)
    figure.update_yaxes(range=[down, top], scaleanchor="x", constraintoward="top", **plain)
    return figure


def _lines(blocks: Sequence[_Block]) -> Iterator[list[_Block]]:
    """Yield the rows: one sample if it has two images or only text, else two."""
    waiting: list[_Block] = []
    for block in blocks:
        if len(block.images) != 1:
            yield [block]
            continue
        waiting.append(block)
        if len(waiting) == 2:
            yield waiting
            waiting = []
    if waiting:
        yield waiting


def _block(picture: Picture) -> _Block:
    image = thumbnail(picture.sample, picture.content, _PIXELS)
    if picture.boxes or picture.true_mask or picture.predicted_mask:
        return _Block(_pair(picture, image), _caption(picture, 52, is_lost=image is None))
    if image is None:
        return _Block((), _caption(picture, 56))
    return _Block(((image, ()),), _caption(picture, 26))


def _pair(picture: Picture, image: Image.Image | None) -> tuple[tuple[Any, tuple[tuple[Box, bool], ...]], ...]:
    """Return the true and the predicted side: an image with its mask painted over it, and its matched boxes."""
    true = [box for box in picture.boxes if box.score is None]
    predicted = [box for box in picture.boxes if box.score is not None]
    hits = matched(true, predicted)
    left, right = {index for index, _ in hits}, {index for _, index in hits}
    return (
        (_overlaid(image, picture.true_mask, picture.shown), tuple((box, n in left) for n, box in enumerate(true))),
        (
            _overlaid(image, picture.predicted_mask, picture.shown),
            tuple((box, n in right) for n, box in enumerate(predicted)),
        ),
    )


def _size(image: Image.Image | None) -> tuple[float, float]:
    """Return width and height of an image in the drawing; a missing one is an empty frame."""
    aspect = image.height / image.width if image is not None else 0.75
    height = min(aspect, _TALLEST)
    return height / aspect, height


def _cell(image: Image.Image | None, left: float, top: float, boxes: tuple[tuple[Box, bool], ...]) -> _Cell:
    return _Cell(left, top, *_size(image), image, boxes)


def matched(true: Sequence[Box], predicted: Sequence[Box]) -> list[tuple[int, int]]:
    """Return matching predicted and true boxes as in COCO: most confident first, one to one, half overlapping."""
    free = set(range(len(true)))
    pairs = []
    for index in sorted(range(len(predicted)), key=lambda index: -(predicted[index].score or 0.0)):
        near = [
            (overlap(true[other], predicted[index]), other)
            for other in free
            if true[other].label == predicted[index].label
        ]
        best = max(near, default=(0.0, -1))
        if best[0] >= _IOU:
            free.discard(best[1])
            pairs.append((best[1], index))
    return pairs


def overlap(one: Box, other: Box) -> float:
    """Return the intersection over union of two boxes."""
    across = min(one.right, other.right) - max(one.left, other.left)
    down = min(one.bottom, other.bottom) - max(one.top, other.top)
    if across <= 0 or down <= 0:
        return 0.0
    both = (one.right - one.left) * (one.bottom - one.top) + (other.right - other.left) * (other.bottom - other.top)
    return across * down / (both - across * down)


def _overlaid(image: Image.Image | None, mask: str, shown: tuple[float, float, float, float]) -> Image.Image | None:
    """Return ``image`` with the classes of ``mask`` painted over the part ``shown``."""
    classes = _mask(mask)
    if classes is None:
        return image
    if image is None:
        image = Image.new("RGB", (_PIXELS, round(_PIXELS * classes.shape[0] / classes.shape[1])), theme.GREY)
        shown = (0.0, 0.0, 1.0, 1.0)
    left, top = round(shown[0] * image.width), round(shown[1] * image.height)
    size = (max(round(shown[2] * image.width) - left, 1), max(round(shown[3] * image.height) - top, 1))
    sized = np.asarray(Image.fromarray(classes).resize(size, Image.Resampling.NEAREST))
    palette = np.array([rgb(class_colour(index)) for index in range(255)] + [(0, 0, 0)], dtype=np.uint8)
    paint = Image.fromarray(palette[sized])
    amount = Image.fromarray(np.where(sized == 255, 0, int(255 * _OPACITY)).astype(np.uint8))
    whole = image.copy()
    whole.paste(paint, (left, top), amount)
    return whole


def _mask(text: str) -> np.ndarray[Any, np.dtype[np.uint8]] | None:
    if not text:
        return None
    try:
        with Image.open(io.BytesIO(base64.b64decode(text)), formats=("PNG",)) as image:
            if image.width * image.height > _LARGEST_MASK:
                return None
            return np.asarray(image.convert("L"))
    except (OSError, ValueError, SyntaxError, binascii.Error, Image.DecompressionBombError):
        return None  # data of another version must not break the page


def _caption(picture: Picture, width: int, *, is_lost: bool = False) -> str:
    name = Path(picture.sample).name
    lost = f"{name}: the image cannot be reached from here. " if is_lost and name else ""
    return theme.wrapped(lost + picture.caption, width)


def _write(figure: go.Figure, texts: Sequence[tuple[float, float, str]]) -> None:
    figure.add_scatter(
        x=[x for x, _, _ in texts],
        y=[y for _, y, _ in texts],
        text=[text for _, _, text in texts],
        mode="text",
        textposition="bottom right",
        textfont={"size": 12},
        hoverinfo="skip",
        showlegend=False,
    )


def _draw_cells(figure: go.Figure, cells: Sequence[_Cell], known: dict[str, int]) -> None:
    for cell in cells:
        if cell.image is not None:
            corner = {"x": cell.left, "y": cell.top, "xref": "x", "yref": "y", "xanchor": "left", "yanchor": "top"}
            size = {"sizex": cell.width, "sizey": cell.height, "sizing": "stretch", "layer": "below"}
            figure.add_layout_image(source=data_uri(cell.image), **corner, **size)
        else:
            corners = {"x0": cell.left, "x1": cell.left + cell.width, "y0": cell.top, "y1": cell.top - cell.height}
            figure.add_shape(type="rect", line={"color": theme.GREY, "width": 1}, **corners)
    boxes = [(cell, box, is_hit) for cell in cells for box, is_hit in cell.boxes]
    for box in (box for _, box, _ in boxes):
        known.setdefault(box.label, len(known))
    # A dark line below each coloured one makes it stand out from any photograph.
    for dash in ("solid", "dot"):
        _outline(figure, [box for box in boxes if box[2] is (dash == "solid")], "rgba(0,0,0,0.6)", dash, 5)
    for label in sorted({box.label for _, box, _ in boxes}, key=lambda label: known[label]):
        own = [box for box in boxes if box[1].label == label]
        colour = class_colour(known[label])
        for dash in ("solid", "dot"):
            _outline(figure, [box for box in own if box[2] is (dash == "solid")], colour, dash, 2.5, label)
        figure.add_scatter(
            x=[cell.left + (box.left + box.right) / 2 * cell.width for cell, box, _ in own],
            y=[cell.top - (box.top + box.bottom) / 2 * cell.height for cell, box, _ in own],
            text=[_words(box, is_hit) for _, box, is_hit in own],
            mode="markers",
            marker={"size": 16, "opacity": 0, "color": colour},
            hovertemplate="%{text}<extra></extra>",
            legendgroup=label,
            showlegend=False,
        )
        mark = {"color": colour, "symbol": "square-open", "size": 12, "line": {"width": 3}}
        figure.add_scatter(x=[None], y=[None], mode="markers", marker=mark, name=label, legendgroup=label)


def _outline(
    figure: go.Figure, boxes: Sequence[tuple[_Cell, Box, bool]], colour: str, dash: str, width: float, label: str = ""
) -> None:
    if not boxes:
        return
    corners = [corner for cell, box, _ in boxes for corner in _corners(cell, box)]
    figure.add_scatter(
        x=[x for x, _ in corners],
        y=[y for _, y in corners],
        mode="lines",
        line={"color": colour, "width": width, "dash": dash},
        hoverinfo="skip",
        showlegend=False,
        legendgroup=label or None,
    )


def _corners(cell: _Cell, box: Box) -> Iterator[tuple[float | None, float | None]]:
    left, right = (cell.left + share * cell.width for share in (box.left, box.right))
    top, bottom = (cell.top - share * cell.height for share in (box.top, box.bottom))
    yield from ((left, top), (right, top), (right, bottom), (left, bottom), (left, top), (None, None))


def _words(box: Box, is_hit: bool) -> str:
    if box.score is None:
        return f"{theme.wrapped(box.label)}, {'found' if is_hit else 'missed'}"
    return f"{theme.wrapped(box.label)} {wording.percent(box.score)}, {'right' if is_hit else 'wrong'}"


def _draw_masks_legend(figure: go.Figure, pictures: Sequence[Picture], classes: Sequence[str]) -> None:
    masks = [_mask(text) for picture in pictures for text in (picture.true_mask, picture.predicted_mask)]
    there = sorted({int(value) for mask in masks if mask is not None for value in np.unique(mask)})
    for index in there:
        if index < len(classes):
            mark = {"color": class_colour(index), "symbol": "square", "size": 12}
            figure.add_scatter(x=[None], y=[None], mode="markers", marker=mark, name=classes[index])
