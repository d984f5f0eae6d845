"""Anchors that fit the boxes of a data set."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Self

import numpy as np
from numpy.typing import NDArray

from search.data.sample import Sample
from search.records.study import Json

_PERCENTILES = (10.0, 50.0, 90.0)
_LARGEST_RATIO = 5.0


@dataclass(frozen=True, slots=True)
class Statistics:
    """Statistics of the training boxes in the network's input.

    Attributes:
        count: number of boxes.
        sizes: square root of the area at the 5th, 50th and 95th percentile, as fractions of the square root of the
            input's area.
        ratios: height over width at the 10th, 50th and 90th percentile, in pixels of the input.
    """

    count: int
    sizes: tuple[float, float, float]
    ratios: tuple[float, float, float]

    def to_json(self) -> dict[str, Json]:
        """Return it as plain data."""
        return {"count": self.count, "sizes": list(self.sizes), "ratios": list(self.ratios)}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what ``to_json`` wrote."""
        return cls(data["count"], tuple(data["sizes"]), tuple(data["ratios"]))

    def suggested(self, levels: int, size: tuple[int, int]) -> tuple[tuple[float, ...], tuple[float, ...]]:
        """Return an anchor size in pixels for each of ``levels`` levels, and ratios that all of them have.

        Sizes run from the 5th to the 95th percentile in equal logarithmic steps, as pyramid levels do; a single level
        takes the median. Ratios within a quarter of each other count once.
        """
        scale = math.sqrt(size[0] * size[1])
        low, middle, high = (max(share * scale, 2.0) for share in self.sizes)
        if levels == 1:
            return (round(middle, 1),), self._apart()
        steps = [low * (high / low) ** (index / (levels - 1)) for index in range(levels)]
        return tuple(round(step, 1) for step in steps), self._apart()

    def _apart(self) -> tuple[float, ...]:
        kept: list[float] = []
        for ratio in sorted(min(max(ratio, 1 / _LARGEST_RATIO), _LARGEST_RATIO) for ratio in self.ratios):
            if not kept or ratio > 1.25 * kept[-1]:
                kept.append(round(ratio, 2))
        return tuple(kept)


def statistics(samples: Sequence[Sample], size: tuple[int, int], *, letterbox: bool) -> Statistics:
    """Return the statistics of the boxes of ``samples`` in an input of ``size`` (height, width)."""
    sides = box_sides(samples, size, letterbox=letterbox)
    areas = np.sqrt(sides[:, 0] * sides[:, 1]) / math.sqrt(size[0] * size[1])
    low, middle, high = (float(value) for value in np.percentile(areas, (5, 50, 95)))
    ratios = [float(value) for value in np.percentile(sides[:, 1] / sides[:, 0], _PERCENTILES)]
    return Statistics(
        len(sides),
        (round(low, 5), round(middle, 5), round(high, 5)),
        (round(ratios[0], 3), round(ratios[1], 3), round(ratios[2], 3)),
    )


def box_sides(samples: Sequence[Sample], size: tuple[int, int], *, letterbox: bool) -> NDArray[np.float64]:
    """Return width and height ``(boxes, 2)`` of all boxes in pixels of the input."""
    sides = []
    for sample in samples:
        target = sample.target
        across, down = float(size[1]), float(size[0])
        if letterbox:
            scale = min(across / target.width, down / target.height)
            across, down = scale * target.width, scale * target.height
        sides += [
            ((box.right - box.left) * across, (box.bottom - box.top) * down) for box in target.boxes if not box.is_crowd
        ]
    return np.maximum(np.array(sides, dtype=np.float64).reshape(-1, 2), 1e-3)


def covered(sides: NDArray[np.float64], sizes: Sequence[float], ratios: Sequence[float]) -> float:
    """Return the share of boxes that some anchor of these sizes and ratios, centred on them, overlaps by half."""
    anchors = np.array([(size / math.sqrt(ratio), size * math.sqrt(ratio)) for size in sizes for ratio in ratios])
    both = np.minimum(sides[:, None], anchors[None]).prod(axis=2)
    whole = sides.prod(axis=1)[:, None] + anchors.prod(axis=1)[None] - both
    return float(((both / whole).max(axis=1) >= 0.5).mean())
