"""The number of layers of a detector's decoder."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from spaces.decisions._checks import check_numbers
from spaces.decisions._detector_counts import DetectorCount
from spaces.detector import PretrainedDetector

PLAIN = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Numbers of layers that may be tried."""

    depths: tuple[int, ...] = (1, 2, 3, 6)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_numbers("decoder_layers.depths", self.depths, 1, 12)


class DecoderLayers(DetectorCount):
    """Only detectors with queries have a decoder; every layer refines the boxes of the one before.

    All layers are trained to predict, so that a pretrained decoder works without its last ones
    (https://arxiv.org/abs/2304.08069).
    """

    usual = False  # kinds that have them are not usual either
    name, options, usual_count, most, phrase = "decoder_layers", Range, PLAIN, 12, "decoder depth {}"

    def offered(self, within: Range) -> tuple[int, ...]:
        return within.depths

    def own(self, detector: PretrainedDetector) -> int | None:
        return detector.settings.get("decoder_layers")


decision = DecoderLayers()
