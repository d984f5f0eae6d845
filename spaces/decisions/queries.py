"""The number of queries that a detector's decoder turns into boxes."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spaces.decisions._checks import check_numbers
from spaces.decisions._detector_counts import DetectorCount
from spaces.detector import PretrainedDetector

PLAIN = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of queries that may be tried; of a small input, no more are taken than its maps have points."""

    numbers: tuple[int, ...] = (50, 100, 300)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("queries.numbers", self.numbers, 1, 2000)


class Queries(DetectorCount):
    """Each predicts one box at most; only detectors of the DETR family have them.

    They begin at the points of the maps where an object is likeliest and have no weights of their own, so that their
    number may be changed in a pretrained detector.
    """

    usual = False  # kinds that have them are not usual either
    name, options, usual_count, most, phrase = "queries", Range, PLAIN, 2000, "{} queries"

    def offered(self, within: Range) -> tuple[int, ...]:
        return within.numbers

    def own(self, detector: PretrainedDetector) -> int | None:
        return detector.settings.get("num_queries")


decision = Queries()
