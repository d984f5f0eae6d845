"""Limits on the values of a model's folder: a malicious one may try to fill the memory or write to a terminal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol

from search.records.plain_text import LONGEST_NAME, is_control, shortened


class Frame(Protocol):
    """What is looked at of ``search.model.folder.ImagePreprocessing``."""

    @property
    def size(self) -> tuple[int, int]: ...

    @property
    def resize(self) -> tuple[int, int]: ...

    @property
    def mean(self) -> tuple[float, float, float]: ...

    @property
    def std(self) -> tuple[float, float, float]: ...

    @property
    def interpolation(self) -> str: ...

    @property
    def levels(self) -> tuple[float, float] | None: ...


class Facts(Protocol):
    """What is looked at of ``search.model.folder.ModelFacts``."""

    @property
    def temperature(self) -> float: ...

    @property
    def classes(self) -> tuple[str, ...]: ...

    @property
    def frame(self) -> Frame | None: ...


@dataclass(frozen=True, slots=True)
class Between:
    """Numbers from ``low`` to ``high``; a NaN is none of them."""

    low: float
    high: float

    def __contains__(self, value: float) -> bool:
        return self.low <= value <= self.high

    def __str__(self) -> str:
        return f"from {self.low:g} to {self.high:g}"


_SIDES, _PIXELS = Between(1, 1 << 15), 1 << 24
_CLASSES, _INTERPOLATIONS = 1 << 16, ("bilinear", "bicubic")
_TEMPERATURES, _MEANS, _DEVIATIONS = Between(1e-4, 1e4), Between(-1e3, 1e3), Between(1e-6, 1e6)


def exceeded(facts: Facts) -> str:
    """Return a message about the first value outside its limits; empty if there is none."""
    if facts.temperature not in _TEMPERATURES:
        return f"temperature: expected a number {_TEMPERATURES}, got {facts.temperature}"
    if not 0 < len(facts.classes) <= _CLASSES:
        return f"classes: expected 1 to {_CLASSES}, got {len(facts.classes)}"
    longest = max(map(len, facts.classes), default=0)
    if longest > LONGEST_NAME:
        return f"classes: expected names of at most {LONGEST_NAME} characters, got one of {longest}"
    if any(is_control(letter) for name in facts.classes for letter in name):
        return "classes: a name has control characters, which a terminal would obey"
    if len(set(facts.classes)) < len(facts.classes):
        return "classes: a name is there twice"
    return "" if facts.frame is None else _of_frame(facts.frame)


def _of_frame(frame: Frame) -> str:
    if not all(side in _SIDES for side in (*frame.size, *frame.resize)) or math.prod(frame.size) > _PIXELS:
        return f"frame: expected sides {_SIDES} pixels and {_PIXELS} pixels in all, got {frame.size} and {frame.resize}"
    if not all(value in _MEANS for value in frame.mean):
        return f"frame.mean: expected numbers {_MEANS}, got {frame.mean}"
    if not all(value in _DEVIATIONS for value in frame.std):
        return f"frame.std: expected numbers {_DEVIATIONS}, got {frame.std}"
    if frame.interpolation not in _INTERPOLATIONS:
        return f"frame.interpolation: expected {' or '.join(_INTERPOLATIONS)}, got {shortened(frame.interpolation)!r}"
    levels = frame.levels
    if levels is not None and not (all(map(math.isfinite, levels)) and levels[0] < levels[1]):
        return f"frame.levels: expected two numbers, the smaller first, got {levels}"
    return ""
