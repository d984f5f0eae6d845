"""The number of proposals that a detector's second stage classifies."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spaces.decisions._checks import check_numbers
from spaces.decisions._detector_counts import DetectorCount
from spaces.detector import PretrainedDetector

PLAIN = 1000


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of proposals that may be kept per image."""

    kept: tuple[int, ...] = (100, 300, 1000)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("proposals.kept", self.kept, 1, 10000)


class Proposals(DetectorCount):
    """Only Faster R-CNN has proposals; fewer are cheaper but may miss objects."""

    name, options, usual_count, most, phrase = "proposals", Range, PLAIN, 10000, "{} proposals"

    def offered(self, within: Range) -> tuple[int, ...]:
        return within.kept

    def own(self, detector: PretrainedDetector) -> int | None:
        return detector.proposals if detector.kind == "faster_rcnn" else None


decision = Proposals()
