"""scikit-learn's handwritten digits: 1,797 grey images of 8x8 pixels that need no download."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from search.data.assembly import Listed, assemble
from search.data.formats._base import Format
from search.data.images import StoredImage
from search.data.sample import Dataset
from search.data.split_options import SplitOptions


@dataclass(frozen=True, slots=True)
class Options(SplitOptions):
    """How the digits are split; they have no splits of their own."""

    test_share: float = 0.2


class Digits(Format):
    """Optical recognition of handwritten digits (UCI), as in ``sklearn.datasets.load_digits``."""

    name, options = "digits", Options

    def read(self, options: Options, base: Path) -> Dataset:
        targets = _load().target
        listed = [Listed(image(index), str(label)) for index, label in enumerate(targets)]
        return assemble(self.name, listed, options)


def image(index: int) -> StoredImage:
    """Return the digit at ``index``, 0 to 1796."""
    return StoredImage(Digits.name, index, _fetch)


@cache
def _load() -> Any:
    from sklearn.datasets import load_digits  # noqa: PLC0415  # half a second that other formats need not pay

    return load_digits()


def _fetch(index: int) -> Image.Image:
    return Image.fromarray((_load().images[index] * (255 / 16)).astype(np.uint8))


format = Digits()  # noqa: A001  # the room's word for its plug-in
