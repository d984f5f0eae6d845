"""Inputs of a finished model: images or texts, from files and from memory, prepared for its network."""

from __future__ import annotations

import logging
from abc import ABC, abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from PIL import Image
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence
from torchvision.transforms import v2

from search.data import cache, decoding
from search.data.assembly import in_parallel
from search.data.files import Walk
from search.data.images import EXTENSIONS, FileImage
from search.data.texts import Text, Words
from search.detection.targets import frame_of
from search.errors import DataError, UserError
from search.model.folder import ImagePreprocessing, ModelFacts, TextPreprocessing
from search.model.text_files import SUFFIXES, Unreadable, suffixes, texts_in
from search.tasks._base import Task
from search.tasks._prediction import InputInfo
from search.tasks._texts import Texts

logger = logging.getLogger(__name__)
Transform = Any
"""Takes a PIL image in RGB, gives ``(3, H, W)`` float32; or takes a text, gives numbers of tokens ``(T,)``."""
Original = Image.Image | Text | Words | str | tuple[str, str] | Sequence[str]
Item = Path | Text | Words | Unreadable


class Ready(NamedTuple):
    """An input as the network takes it, and what maps its outputs back."""

    inputs: Tensor
    given: InputInfo


class Inputs(ABC):
    """How a model's inputs are read.

    Attributes:
        transform: makes one input of one original.
        kind: what they are called, ``images`` or ``texts``.
    """

    transform: Transform
    kind: str

    @abstractmethod
    def listed(self, place: Path, text_column: str = "", pair_column: str = "") -> list[Item]:
        """Return the inputs that ``place`` stands for; the columns are of tables of texts, where they are named.

        Raises:
            DataError: there are none, or it is of another kind.
        """

    @abstractmethod
    def given(self, original: Original) -> InputInfo:
        """Return what is known of an input beside its numbers.

        Raises:
            UserError: it is of another kind.
        """

    @abstractmethod
    def read(self, items: Sequence[Item]) -> list[Ready | str]:
        """Return every one of ``items`` as the network takes it, or why it cannot be read."""

    @abstractmethod
    def batch(self, inputs: Sequence[Tensor]) -> Tensor:
        """Return several inputs as one tensor."""


class Fitted(v2.Transform):  # type: ignore[misc]  # torchvision has no types
    """Fits a PIL image in RGB into the network's input as validation did: cropped, stretched or with grey bars."""

    def __init__(self, frame: cache.Frame) -> None:
        super().__init__()
        self.frame = frame

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return Image.fromarray(np.ascontiguousarray(self.frame.render(inpt).transpose(1, 2, 0)))

    def extra_repr(self) -> str:
        fit = f"size={self.frame.size}, fit={self.frame.fit}, interpolation={self.frame.interpolation}"
        return f"{fit}, resize={self.frame.resize}" if self.frame.fit == "crop" else fit


def frame_for(preprocessing: ImagePreprocessing) -> cache.Frame:
    """Return how validation fitted images into the arrays that it gave the network."""
    size, interpolation = preprocessing.size, preprocessing.interpolation
    if preprocessing.fit == "crop":
        return cache.Frame(size, preprocessing.resize, interpolation, whole=False)
    return frame_of(preprocessing.fit, size, interpolation)


def transform_of(preprocessing: ImagePreprocessing) -> Transform:
    """Return torchvision's transform for ``preprocessing``: a PIL image in RGB -> ``(3, H, W)``, normalised."""
    return v2.Compose(
        [
            Fitted(frame_for(preprocessing)),
            v2.PILToTensor(),
            v2.ToDtype(torch.float32, scale=True),
            v2.Normalize(list(preprocessing.mean), list(preprocessing.std)),
        ]
    )


class Images(Inputs):
    """Images from files, or as PIL has them."""

    kind = "images"

    def __init__(self, preprocessing: ImagePreprocessing) -> None:
        self.transform = transform_of(preprocessing)
        self._frame = frame_for(preprocessing)
        self._levels = preprocessing.levels

    def listed(self, place: Path, text_column: str = "", pair_column: str = "") -> list[Item]:
        if text_column or pair_column:
            raise UserError("columns are of tables of texts, but this model reads images")
        if place.is_file() and place.suffix.lower() in SUFFIXES:
            raise DataError(f"{place} is a file of texts, but this model reads images; give an image or a folder")
        return list(images_in(place))

    def given(self, original: Original) -> InputInfo:
        if not isinstance(original, Image.Image):
            raise UserError(f"expected a PIL image, got {type(original).__name__}")
        return self._given(original.width, original.height)

    def _given(self, width: int, height: int) -> InputInfo:
        return InputInfo(width, height, self._frame.shown(width, height))

    def read(self, items: Sequence[Item]) -> list[Ready | str]:
        return in_parallel(self._read, items)

    def _read(self, item: Item) -> Ready | str:
        image = FileImage(Path(str(item)), self._levels)
        try:
            # Boxes and masks are given in pixels of the file, though a picture beyond all needs is read reduced.
            return Ready(self.transform(image.open()), self._given(*decoding.upright_size(image.path)))
        except (OSError, ValueError) as error:
            return str(error) or type(error).__name__

    def batch(self, inputs: Sequence[Tensor]) -> Tensor:
        return torch.stack(list(inputs))


class TextInputs(Inputs):
    """Texts, pairs of texts or lists of words, from files or as Python has them."""

    kind = "texts"

    def __init__(self, task: Texts, preprocessing: TextPreprocessing) -> None:
        self._task, self._preprocessing = task, preprocessing
        self.transform = self._tokens

    def listed(self, place: Path, text_column: str = "", pair_column: str = "") -> list[Item]:
        if place.is_dir() or place.suffix.lower() in EXTENSIONS:
            what = "a folder" if place.is_dir() else "an image"
            known = ", ".join(suffixes(self._preprocessing))
            raise DataError(f"{place} is {what}, but this model reads texts; give a file of them ({known})")
        return list(texts_in(place, self._preprocessing, text_column, pair_column))

    def given(self, original: Original) -> InputInfo:
        ((_, given),) = self._ready([self.text(original)])
        return given

    def text(self, original: Any) -> Text | Words:
        """Return a text, a pair of texts or a list of words as the tokenizer is given it.

        Raises:
            UserError: it is not what this model takes.
        """
        if isinstance(original, Text | Words):
            return original
        if self._preprocessing.words:
            if isinstance(original, str):
                original = original.split()
            if isinstance(original, list | tuple) and original and all(isinstance(word, str) for word in original):
                return Words("", tuple(original))
            raise UserError(f"expected a sentence or a list of its words, got {original!r:.60}")
        is_pair = isinstance(original, tuple | list) and [type(part) for part in original] == [str, str]
        if is_pair and self._preprocessing.pairs:
            return Text("", *original)
        if isinstance(original, str) and not self._preprocessing.pairs:
            return Text("", original)
        raise UserError(
            f"expected {'a pair of texts' if self._preprocessing.pairs else 'a text'}, got {original!r:.60}"
        )

    def read(self, items: Sequence[Item]) -> list[Ready | str]:
        texts = [item for item in items if isinstance(item, Text | Words)]
        ready = iter(self._ready(texts))
        return [next(ready) if isinstance(item, Text | Words) else str(item) for item in items]

    def _tokens(self, original: Any) -> Tensor:
        """Return the numbers of the tokens of a text, a pair ``(text, second)`` or a list of words: ``(T,)`` int64."""
        ((tokens, _),) = self._ready([self.text(original)])
        return tokens

    def _ready(self, texts: Sequence[Text | Words]) -> list[Ready]:
        rows, places, _ = self._task.numbered(texts, self._preprocessing.length)
        words = places or [[]] * len(rows)
        return [
            Ready(
                torch.tensor(row, dtype=torch.int64),
                InputInfo(words=text.words if isinstance(text, Words) else (), places=tuple(word_of)),
            )
            for row, word_of, text in zip(rows, words, texts, strict=True)
        ]

    def batch(self, inputs: Sequence[Tensor]) -> Tensor:
        return pad_sequence(list(inputs), batch_first=True, padding_value=self._preprocessing.padding)


def inputs_of(facts: ModelFacts, task: Task) -> Inputs | None:
    """Return how the inputs of a model come in; None where its task prepares them in a way of its own."""
    if facts.frame is not None:
        return Images(facts.frame)
    if facts.texts is not None and isinstance(task, Texts):
        return TextInputs(task, facts.texts)
    return None


def images_in(place: Path) -> list[Path]:
    """Return the image files that ``place``, a file or a folder with folders in it, stands for.

    Raises:
        DataError: there is nothing, or no image in it.
    """
    if place.is_file():
        return [place]
    if not place.is_dir():
        raise DataError(f"no image and no folder at {place}")
    walk = Walk()
    files = walk.files(place, EXTENSIONS)
    for line in walk.lines():
        logger.warning("%s: %s", place, line)
    if not files:
        instead = "".join(f" ({line})" for line in walk.lines())
        raise DataError(f"no image in {place}; expected files that end in {', '.join(EXTENSIONS[:4])} ...{instead}")
    return files
