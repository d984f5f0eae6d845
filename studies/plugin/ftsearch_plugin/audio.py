"""A task: one label a sound, on any image backbone that reads its spectrogram. ``task: audio``."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import ClassVar

from search.data.augment import Augmentation
from search.data.cache import Frame
from search.data.sample import Split
from search.tasks.classification import Classification
from spaces.backbones._base import Preprocessing


@dataclass(frozen=True, slots=True)
class AudioOptions:
    """``stretch`` is the least share of a sound that a training view shows."""

    stretch: float = 0.8
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 0.1 <= self.stretch <= 1:
            raise ValueError(f"stretch must be from 0.1 to 1, got {self.stretch:g}")


class Audio(Classification):
    """Classification of spectrograms: the whole picture counts, and none is mirrored."""

    name, formats, options = "audio", ("wav_folder",), AudioOptions
    chosen = AudioOptions()

    def frame(self, split: Split, size: tuple[int, int], expected: Preprocessing) -> Frame:
        return Frame(size, size, expected.interpolation, whole=True)

    def augmentation(self, preset: Augmentation) -> Augmentation:
        scale = None if preset.scale is None else (self.chosen.stretch, 1.0)
        return replace(preset, scale=scale, flip=0.0, jitter=0.0)


task = Audio()
