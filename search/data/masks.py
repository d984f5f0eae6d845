"""Masks: a class for every pixel, read from image files, decoded once, cropped and flipped with their images."""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import Any, Protocol, Self

import numpy as np
import torch
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from search.data import array_cache, cache, decoding, mask_colours
from search.data.array_cache import ArrayCache
from search.data.assembly import Listed, cache_folder, gather, in_parallel, note
from search.data.augment import Augmentation, DrawnAugmentation
from search.data.batches import gather as gather_rows
from search.data.batches import place
from search.data.cache import Frame
from search.data.sample import Dataset, Sample
from search.data.split_options import SplitOptions
from search.data.targets import Geometry, Rows
from search.data.transfer import sent
from search.records.plain_text import numbered
from search.records.study import Json

logger = logging.getLogger(__name__)
Classes = NDArray[np.int32]
EXTENSIONS = (".png", ".bmp", ".gif", ".tif", ".tiff")
"""Extensions of mask files: formats that preserve every value."""
VOID = -1
"""Class that ``Mask.open`` gives to ignored pixels."""
MOST_SCORES = 1 << 26
"""Most scores of an image that are enlarged: 2048x1024 pixels of 30 classes, those of a street scene."""
_FEWEST = 16
"""Fewest classes that a grid is made for, so that it has at most four million pixels."""
MOST_CLASSES = 64
"""Most values or colours of a mask; a photograph has more."""
_VERSION = 1
_BYTES_A_PIXEL = 8
"""Type that a mask's values are converted to while it is read."""
_PLAIN_MODES = ("1", "L", "P", "I")


class Mask(Protocol):
    """A sample's target in segmentation; plain, hashable data.

    Attributes:
        pixels: number of pixels of each class that occurs, ``((class, count), ...)``.
        size: height and width of what ``open`` returns; ``digest`` identifies it.
    """

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def pixels(self) -> tuple[tuple[int, int], ...]: ...

    @property
    def digest(self) -> str: ...

    def open(self) -> Classes:
        """Return the class of every pixel ``(H, W)``, ``VOID`` for ignored ones."""


@dataclass(frozen=True, slots=True)
class MaskFile:
    """An image file with one value per pixel; ``table`` pairs each value with its class.

    With ``colours``, a value is a colour's place among them (``mask_colours``).
    """

    path: Path
    table: tuple[tuple[int, int], ...]
    pixels: tuple[tuple[int, int], ...]
    digest: str
    size: tuple[int, int]
    colours: tuple[int, ...] = ()

    def open(self) -> Classes:
        values = read_values(self.path, self.colours)
        classes = np.full(values.shape, VOID, dtype=np.int32)
        for value, label in self.table:
            classes[values == value] = label
        return classes


@dataclass(frozen=True, slots=True)
class Survey:
    """The contents of a mask file.

    Attributes:
        values: ``((value, pixels), ...)``, sorted.
        fault: why it cannot be read; empty when it can.
    """

    width: int = 0
    height: int = 0
    values: tuple[tuple[int, int], ...] = ()
    digest: str = ""
    fault: str = ""


def read_values(path: Path, colours: Sequence[int] = ()) -> NDArray[np.int32]:
    """Return the stored value of every pixel ``(H, W)``; of a palette image the index, not the colour.

    With ``colours``, return the places of the pixels' colours among them (``mask_colours.numbers_of``).

    Raises:
        ValueError: several values a pixel. OSError: not an image, or a broken one.
    """
    with decoding.decoded(path, further=_BYTES_A_PIXEL) as (stored, turn):
        image = stored if turn is None else stored.transpose(turn)
        if colours:
            return mask_colours.numbers_of(np.asarray(image.convert("RGB")), colours)
        if image.mode in _PLAIN_MODES or image.mode.startswith("I;16"):
            return np.asarray(image).astype(np.int32)
        channels = np.asarray(image)
        if channels.ndim == 3 and image.mode in ("RGB", "RGBA", "LA"):
            shades = channels[..., :3] if image.mode != "LA" else channels[..., :1]
            if (shades == shades[..., :1]).all():
                return shades[..., 0].astype(np.int32)
            if image.mode != "LA" and (count := few_colours(shades)):
                raise ColouredError(
                    f"a colour image ({image.mode}) of {numbered(count, 'colours')}; expected one value a pixel: say "
                    "under `data:` `colours: FILE`, with a line `name,red,green,blue` for every class, or give every "
                    "colour the number of its class, 0, 1, 2 ..., in grey or palette PNGs"
                )
        raise ValueError(
            f"a colour image ({image.mode}); expected a palette or grey image whose values are the classes"
        )


class ColouredError(ValueError):
    """A mask whose classes seem to be its colours."""


def few_colours(pixels: NDArray[np.uint8]) -> int:
    """Return the number of colours of ``(H, W, 3)``; 0 if there are too many to be classes, as in photographs."""
    red, green, blue = (pixels[..., channel].astype(np.int32) for channel in range(3))
    count = len(np.unique(red << 16 | green << 8 | blue))
    return count if count <= MOST_CLASSES else 0


def survey(paths: Sequence[Path], colours: Sequence[int] = ()) -> list[Survey]:
    """Return the contents of each mask file; they are read once, as long as no file changes.

    ``colours`` are those of ``read_values``.
    """
    digests = in_parallel(_digest, paths)
    key = hashlib.sha256(json.dumps([_VERSION, digests, *colours]).encode()).hexdigest()
    kept = cache_folder() / "checked" / f"masks-{key}.json"
    try:
        rows = json.loads(kept.read_text())
        return [
            Survey(row[0], row[1], tuple((v, n) for v, n in row[2]), digest)
            for row, digest in zip(rows, digests, strict=True)
        ]
    except (OSError, ValueError):
        read = in_parallel(partial(_survey, colours), paths)
        surveys = [replace(one, digest=digest) for one, digest in zip(read, digests, strict=True)]
    if not any(one.fault for one in surveys):
        note(kept, json.dumps([[one.width, one.height, one.values] for one in surveys]))
    return surveys


def _survey(colours: Sequence[int], path: Path) -> Survey:
    try:
        values = read_values(path, colours)
    except (OSError, ValueError) as error:
        return Survey(fault=str(error) or type(error).__name__)
    there, counts = np.unique(values, return_counts=True)
    pairs = tuple(zip(there.tolist(), counts.tolist(), strict=True))
    return Survey(values.shape[1], values.shape[0], pairs)


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def size_of(path: Path) -> tuple[int, int] | None:
    """Return width and height of an image as displayed; None if the file does not tell."""
    try:
        return decoding.upright_size(path)
    except (OSError, ValueError):
        return None  # decoding it reports the fault


@dataclass(frozen=True)
class Grid:
    """The pixels of an image of ``size`` (height, width) that are scored: the middle one of each ``step`` x ``step``.

    A photograph has more pixels than its score needs, and enlarging the scores of all classes takes seconds.
    """

    size: tuple[int, int]
    step: int = 1

    @property
    def shape(self) -> tuple[int, int]:
        return self.size[0] // self.step, self.size[1] // self.step

    def of(self, mask: NDArray[Any]) -> NDArray[Any]:
        """Return the pixels of a mask of ``size`` that belong to the grid."""
        first, (rows, columns) = self.step // 2, self.shape
        return mask[first :: self.step, first :: self.step][:rows, :columns]


def grid_of(size: tuple[int, int], classes: int) -> Grid:
    """Return the grid on which an image is scored: all pixels, as far as ``MOST_SCORES`` over all classes allows."""
    step = 1
    while (size[0] // step) * (size[1] // step) * max(classes, _FEWEST) > MOST_SCORES and step < min(size):
        step += 2  # odd: has a middle pixel
    return Grid(size, step if step <= min(size) else 1)


@dataclass(frozen=True)
class FullMasks:
    """Masks of images of different sizes, concatenated, possibly in a memory map.

    Attributes:
        pixels: of all masks, row by row, ``(P,)``.
        grids: which pixels of each mask are stored; ``starts`` the position of its first one.
    """

    pixels: Tensor
    grids: tuple[Grid, ...]
    starts: tuple[int, ...]

    def __getitem__(self, number: int) -> Tensor:
        """Return the pixels of one mask ``(H, W)``."""
        (height, width), start = self.grids[number].shape, self.starts[number]
        return self.pixels[start : start + height * width].reshape(height, width)


@dataclass(frozen=True)
class Masks(Rows):
    """The masks of many samples ``(N, H, W)``, uint8 if that holds all classes, else int16.

    Ignored pixels have the largest value of the type, ``void_of``. Large sets stay in host memory; their batches are
    moved to ``device``.

    Attributes:
        full: masks on grids of the original images, on which predictions are scored; ``numbers`` ``(N,)`` are the
            indices of these samples in it. None: ``masks`` have the images' own size.
    """

    masks: Tensor
    device: torch.device | None = None
    full: FullMasks | None = None
    numbers: Tensor | None = None

    def to(self, device: torch.device) -> Self:
        return replace(self, masks=place(self.masks, device), device=device)

    def index_select(self, dim: int, index: Tensor) -> Self:
        numbers = None if self.numbers is None else self.numbers.index_select(dim, index)
        return replace(self, masks=gather_rows(self.masks, index, self.device or self.masks.device), numbers=numbers)

    def of_image(self, row: int) -> tuple[Tensor, Grid]:
        """Return the mask ``(H, W)`` of one sample on a grid of its image's pixels, on the device of ``masks``."""
        if self.full is None or self.numbers is None:
            mask = self.masks[row]
            return mask, Grid((mask.shape[0], mask.shape[1]))
        number = int(self.numbers[row])
        return sent(self.full[number], self.masks.device), self.full.grids[number]

    def follow(self, geometry: Geometry) -> Self:
        return replace(self, masks=geometry.masks(self.masks))


def gather_masks(
    name: str, listed: Sequence[Listed], options: SplitOptions, names: tuple[str, ...], written: Callable[[Any], str]
) -> Dataset:
    """Return the data set of ``listed`` images with masks; every split gets its share of each class's pixels.

    Args:
        names: of the classes.
        written: describes a mask in words that identify it.
    """
    return gather(
        name,
        listed,
        options,
        names=names,
        encode=lambda mask: mask,
        written=written,
        divide=options.by_classes(len(names), lambda mask: [label for label, _ in mask.pixels]),
    )


def void_of(masks: Tensor) -> int:
    """Return the value of ``masks`` that means no class."""
    return int(torch.iinfo(masks.dtype).max)


def decode(samples: Sequence[Sample], frame: Frame, classes: int, fingerprint: str, folder: Path | None) -> Masks:
    """Return the masks of ``samples`` in a frame that shows whole images, by nearest-neighbour sampling.

    ``fingerprint`` identifies content and order of ``samples``; ``folder`` caches what was decoded before.
    """
    shape, void = (len(samples), *frame.shape), int(np.iinfo(_kind(classes)).max)

    def put(masks: NDArray[Any], number: int) -> None:
        image = Image.fromarray(samples[number].target.open())
        values = np.asarray(image.resize((shape[2], shape[1]), Image.Resampling.NEAREST))
        masks[number] = np.where(values == VOID, void, values)

    return Masks(_kept(shape, _kind(classes), put, len(samples), fingerprint, folder))


def with_full(decoded: Masks, samples: Sequence[Sample], classes: int, fingerprint: str, folder: Path | None) -> Masks:
    """Return ``decoded``, the masks of ``samples``, together with those on the grids of their images.

    The other arguments are those of ``decode``.
    """
    grids = tuple(grid_of(sample.target.size, classes) for sample in samples)
    starts = (0, *itertools.accumulate(height * width for height, width in (grid.shape for grid in grids)))
    void = int(np.iinfo(_kind(classes)).max)

    def put(pixels: NDArray[Any], number: int) -> None:
        values = grids[number].of(samples[number].target.open()).ravel()
        pixels[starts[number] : starts[number + 1]] = np.where(values == VOID, void, values)

    pixels = _kept((starts[-1],), _kind(classes), put, len(samples), fingerprint, folder)
    return replace(decoded, full=FullMasks(pixels, grids, starts[:-1]), numbers=torch.arange(len(samples)))


def _kind(classes: int) -> type[np.uint8 | np.int16]:
    return np.uint8 if classes < np.iinfo(np.uint8).max else np.int16


def _kept(
    shape: tuple[int, ...],
    kind: type[np.uint8 | np.int16],
    put: Callable[[NDArray[Any], int], None],
    count: int,
    fingerprint: str,
    folder: Path | None,
) -> Tensor:
    """Return the array of ``shape`` that ``put`` fills for each of ``count`` samples, or its copy in ``folder``."""

    def fill(array: NDArray[Any]) -> Mapping[str, Json]:
        in_parallel(partial(put, array), range(count))
        return {}

    if folder is not None:
        facts = json.dumps(["masks", cache.VERSION, fingerprint, *shape, np.dtype(kind).name])
        try:
            array, _ = ArrayCache(folder).make(hashlib.sha256(facts.encode()).hexdigest()[:32], shape, kind, fill)
            return torch.from_numpy(array)
        except OSError as error:
            logger.warning("masks cannot be cached in %s (%s): keeping them in memory", folder, array_cache.why(error))
    array = np.empty(shape, dtype=kind)
    fill(array)
    return torch.from_numpy(array)


@dataclass(frozen=True, slots=True)
class WholeFrame(Frame):
    """The whole image in validation too, squashed to the network's input: every pixel is predicted."""

    @property
    def extra(self) -> tuple[Json, ...]:
        return ("whole",)


@dataclass(frozen=True, slots=True)
class WholeAugmentation(Augmentation):
    """Random crops stretched as validation stretches whole images; without crops, the whole image."""

    def draw(
        self, ratios: Tensor, size: tuple[int, int], resize: tuple[int, int], generator: torch.Generator
    ) -> DrawnAugmentation:
        drawn = Augmentation.draw(self, torch.ones_like(ratios), size, resize, generator)
        if self.scale is not None:
            return drawn
        return replace(drawn, boxes=torch.tensor([0.5, 0.5, 1.0, 1.0]).repeat(len(ratios), 1))


def whole(preset: Augmentation) -> WholeAugmentation:
    """Return ``preset`` without operations that rotate or shear images, which their masks would not follow."""
    return WholeAugmentation(preset.scale, preset.ratio, preset.flip, preset.jitter)
