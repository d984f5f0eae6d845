"""The kind of detector on top of the feature pyramid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from importlib.util import find_spec
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, read_choice
from spaces.decisions._prior import mostly
from spaces.detector import CHOSEN, KINDS, PretrainedDetector, pretrained_detector

PLAIN = "faster_rcnn"
PRETRAINED = "pretrained"
"""In the portfolio: the kind of the detector whose backbone the chain is."""
LIKELY = "fcos"
"""Without a pretrained detector: no anchors to fit, and a training costs a small part of a Faster R-CNN's, which
classifies a thousand proposals in every image (MobileNetV2, 96x128 pixels: 0.3 to 28.6 GFLOPs per image)."""
_USUAL = tuple(name for name, kind in KINDS.items() if not kind.has_queries)
"""Kinds that are tried if a study names none: the others need a package that may be missing."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Detectors that may be tried.

    Attributes:
        kinds: ``faster_rcnn``, ``retinanet``, ``fcos``, ``rtdetr``, ``dfine``. If none is named: the first three, and
            the kind of a pretrained detector whose backbone the network is.
    """

    kinds: tuple[str, ...] = ()
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.kinds:
            check_choices("detector.kinds", self.kinds, tuple(KINDS))
        for kind in self.kinds:
            if not find_spec(KINDS[kind].needs):
                raise ValueError(f"detector.kinds: {kind} needs `pip install ftsearch[{KINDS[kind].needs}]`")


@dataclass(frozen=True, slots=True)
class Choices:
    """``kinds`` that may be tried, and the ``likely`` one."""

    kinds: tuple[str, ...]
    likely: str


class Detector(Decision[str]):
    """Two stages (Faster R-CNN), one with anchors (RetinaNet) or without (FCOS), or queries (RT-DETR, D-FINE).

    The chain records the kind as its fact ``detector``, so that decisions that only some kinds have drop out.
    """

    name, stage, options, rank = "detector", Stage.HEAD, Range, -1
    tasks = ("detection",)

    def choices(self, chain: Chain, within: Range) -> Choices:
        own = pretrained_detector(chain.facts)
        return Choices(within.kinds or _usual(own), own.kind if own else LIKELY)

    def baseline(self, chain: Chain) -> str:
        """Return the pretrained detector's kind if the chain is the backbone of one."""
        own = pretrained_detector(chain.facts)
        return own.kind if own else PLAIN

    def sample(self, suggest: Suggest, choices: Choices) -> str:
        return str(suggest.choice(self.name, choices.kinds, prior=mostly(choices.likely, 0.6)))

    def params(self, value: str, choices: Choices) -> Mapping[str, Scalar] | None:
        return {self.name: value} if value in choices.kinds else None

    def apply(self, chain: Chain, value: str) -> Chain:
        return replace(chain, facts={**chain.facts, CHOSEN: value})

    def meant(self, wish: Json, chain: Chain, choices: Choices | None) -> str | None:
        """Return the kind; that of the pretrained detector, if there is one, for ``pretrained``."""
        if wish != PRETRAINED:
            return self.parse(wish)
        own = pretrained_detector(chain.facts)
        return own.kind if own else None

    def words(self, value: str, chain: Chain) -> str:
        return KINDS[value].label if value != PLAIN else ""

    def dump(self, value: str) -> Json:
        return value

    def parse(self, data: Json) -> str:
        return str(read_choice(self.name, data, tuple(KINDS)))


def _usual(own: PretrainedDetector | None) -> tuple[str, ...]:
    return _USUAL if own is None or own.kind in _USUAL else (*_USUAL, own.kind)


decision = Detector()
