"""How similar two data sets are, judged without any training: by task, sizes, image statistics."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from search.records.study import DatasetRecord, Json, StudyRecord

WEIGHTS: Mapping[str, float] = {"images": 1.0, "classes": 1.0, "evenness": 0.5, "input": 1.0, "image_statistics": 1.0}
"""Weight of a factor of four in a number, or of the whole range of a share."""
_FACTOR = 2.0
"""Binary logarithm of the factor that counts as one."""


@dataclass(frozen=True, slots=True)
class Traits:
    """What similarity is judged by.

    Attributes:
        images: for training; ``evenness`` is the size of the smallest class over that of the largest.
        input: side of the network's input in pixels, the geometric mean of height and width; None: not decided.
        image_statistics: brightness, contrast, saturation and detail from 0 to 1, and the side of its images in
            pixels; empty if not measured.
    """

    task: str
    images: int
    classes: int
    evenness: float
    input: float | None = None
    image_statistics: Mapping[str, float] = field(default_factory=dict)


def traits(task: str, dataset: DatasetRecord, input_size: Json = None) -> Traits:
    """Return the traits of ``dataset``; ``input_size`` is ``[height, width]`` if known."""
    counts = [count for count in dataset.counts.get("train", {}).values() if count]
    side = math.sqrt(input_size[0] * input_size[1]) if input_size else None
    evenness = min(counts) / max(counts) if counts else 1.0
    return Traits(task, sum(counts), len(dataset.classes), evenness, side, dict(dataset.image_statistics))


def traits_of(study: StudyRecord) -> Traits:
    """Return the traits of the study's data set."""
    identity = study.identity if isinstance(study.identity, Mapping) else {}
    return traits(study.task, study.dataset, identity.get("input_size"))


def distance(one: Traits, other: Traits) -> float:
    """Return the distance between two data sets: 0 for equal ones, infinite for another task.

    The weighted mean over what is known of both, in units of a factor of four (numbers) or of the whole (shares).
    """
    if one.task != other.task:
        return math.inf
    parts = {
        "images": _ratio(one.images, other.images),
        "classes": _ratio(one.classes, other.classes),
        "evenness": abs(one.evenness - other.evenness),
    }
    if one.input is not None and other.input is not None:
        parts["input"] = _ratio(one.input, other.input)
    ours, theirs = one.image_statistics, other.image_statistics
    if shared := [name for name in ours if name in theirs]:
        distances = [_statistic(name, ours[name], theirs[name]) for name in shared]
        parts["image_statistics"] = math.fsum(distances) / len(distances)
    return math.fsum(WEIGHTS[name] * part for name, part in parts.items()) / math.fsum(WEIGHTS[name] for name in parts)


def _statistic(name: str, one: float, other: float) -> float:
    return _ratio(one, other) if name == "side" else abs(one - other)


def _ratio(one: float, other: float) -> float:
    return abs(math.log2(max(one, 1e-9) / max(other, 1e-9))) / _FACTOR
