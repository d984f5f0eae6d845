"""Predicted boxes and masks as images: drawn over the original, or as palette PNGs of classes."""

from __future__ import annotations

import io
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torchvision.transforms.v2.functional import pil_to_tensor, to_pil_image
from torchvision.utils import draw_bounding_boxes, draw_segmentation_masks

from search.artifacts import partial_files
from search.data import decoding
from search.data.images import FileImage
from search.errors import UserError
from search.report.theme import class_colour, rgb
from search.tasks._prediction import PredictedBox, Prediction

_OPACITY = 0.55
_THIN = 250
"""Pixels of an image's shorter side for each pixel of a line."""
_QUALITY = 92


def places(folder: Path, sources: Sequence[Path], root: Path, suffix: str) -> dict[Path, Path]:
    """Return the file in ``folder`` for each of ``sources``, named as they are below ``root``, ending in ``suffix``.

    Of two images that differ only in their ending, both keep theirs.

    Raises:
        UserError: one of the files would be an image that is read.
    """
    base = root if root.is_dir() else root.parent
    stems = [source.relative_to(base).with_suffix("") for source in sources]
    taken = {stem for stem, count in Counter(stems).items() if count > 1}
    names = {}
    read = {source.resolve() for source in sources}
    for source, stem in zip(sources, stems, strict=True):
        name = source.relative_to(base) if stem in taken else stem
        file = folder / name.parent / f"{name.name}{suffix}"
        if file.resolve() in read:
            raise UserError(f"{file} is an image that is read; name another folder than {folder}")
        names[source] = file
    return names


def drawn(image: Image.Image, predicted: Prediction, classes: Sequence[str]) -> Image.Image:
    """Return ``image`` in RGB with the prediction drawn over it: boxes with class and score, or a coloured mask."""
    pixels: Tensor = pil_to_tensor(image)
    if predicted.mask is not None:
        there = torch.unique(predicted.mask).tolist()
        layers = torch.stack([predicted.mask == label for label in there])
        colours = [rgb(class_colour(label)) for label in there]
        pixels = draw_segmentation_masks(pixels, layers, alpha=_OPACITY, colors=colours)
    if predicted.boxes:
        pixels = _with_boxes(pixels, predicted.boxes, classes)
    drawn: Image.Image = to_pil_image(pixels)
    return drawn


def _with_boxes(pixels: Tensor, boxes: Sequence[PredictedBox], classes: Sequence[str]) -> Tensor:
    """Return ``(3, H, W)`` uint8 with boxes, the surest on top."""
    ordered = boxes[::-1]
    colours = [rgb(class_colour(classes.index(box.label))) for box in ordered]
    drawn: Tensor = draw_bounding_boxes(
        pixels,
        torch.tensor([[box.left, box.top, box.right, box.bottom] for box in ordered]),
        labels=[f"{box.label} {box.score:.2f}" for box in ordered],
        colors=colours,
        width=max(2, min(pixels.shape[-2:]) // _THIN),
        label_colors=["black" if _is_bright(colour) else "white" for colour in colours],
        fill_labels=True,
    )
    return drawn


def _is_bright(colour: tuple[int, int, int]) -> bool:
    """Return whether black is read better on ``colour`` than white (luma of ITU-R BT.601)."""
    red, green, blue = colour
    return 0.299 * red + 0.587 * green + 0.114 * blue > 140


def write_picture(place: Path, source: Path, predicted: Prediction, classes: Sequence[str]) -> None:
    """Write the image at ``source`` with its prediction to ``place``, a JPEG.

    Raises:
        UserError: ``place`` cannot be written.
    """
    image, size = FileImage(source).open(), decoding.upright_size(source)
    # Coordinates are in pixels of the file; a needlessly large picture is read reduced.
    image = image if image.size == size else image.resize(size)
    _save(place, drawn(image, predicted, classes), "JPEG", quality=_QUALITY)


def write_mask(place: Path, mask: Tensor) -> None:
    """Write the classes ``(H, W)`` to ``place``: a PNG whose values are the classes, with a palette up to 255 of them.

    Raises:
        UserError: ``place`` cannot be written.
    """
    if mask.dtype == torch.uint8:
        image = Image.fromarray(mask.numpy())
        image.putpalette([part for label in range(256) for part in rgb(class_colour(label))])
    else:
        image = Image.fromarray(mask.numpy().astype(np.uint16))
    _save(place, image, "PNG", quality=0)


def _save(place: Path, image: Image.Image, kind: str, quality: int) -> None:
    content = io.BytesIO()
    image.save(content, format=kind, **({"quality": quality} if quality else {"optimize": True}))
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        partial_files.write(place, content.getvalue())
    except OSError as error:
        raise UserError(f"cannot write {place}: {error.strerror}; name another folder") from error
