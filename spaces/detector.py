"""The kinds of detectors, and a pretrained one's parts besides its backbone: their settings and weights."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, Protocol

from torch import Tensor


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of detector.

    Attributes:
        label: its usual spelling.
        parts: what decisions may change in it, beside the taps and the width that all kinds have.
        needs: module that it is built from; it may be missing.
    """

    label: str
    parts: frozenset[str]
    needs: str = "torchvision"

    @property
    def has_queries(self) -> bool:
        """Whether a transformer's decoder turns queries into boxes, one each, so that none has to be suppressed."""
        return "queries" in self.parts


_QUERIES = frozenset(("decoder_layers", "queries"))
KINDS: Mapping[str, Kind] = {
    "faster_rcnn": Kind("Faster R-CNN", frozenset(("anchors", "box width", "box depth", "proposals", "extra levels"))),
    "retinanet": Kind("RetinaNet", frozenset(("anchors", "extra levels"))),
    "fcos": Kind("FCOS", frozenset(("box depth", "extra levels"))),
    "rtdetr": Kind("RT-DETR v2", _QUERIES, "transformers"),
    "dfine": Kind("D-FINE", _QUERIES, "transformers"),
}
CHOSEN = "detector"
"""Name of a chain's fact that is the kind chosen for it."""
FACT = "pretrained_detector"
"""Name of a chain's fact that is a ``PretrainedDetector``: the chain is a detector's backbone."""


@dataclass(frozen=True, slots=True)
class Style:
    """Settings of a detector that no decision chooses; the defaults are those of a newly built one.

    Attributes:
        extra: how levels after the last tap are made: every second point of the last level (``pool``), or two
            convolutions on the last ``level`` or on the last tapped ``map``.
        pyramid_norm: whether the pyramid's convolutions are followed by batch norms.
        rpn_depth: convolutions of the region proposal network.
        box_convolutions: channels of 3x3 convolutions with batch norm before the box head's linear layers.
        head_norm: whether RetinaNet's heads have group norms.
        box_loss: RetinaNet's: ``l1`` or ``giou``.
        least_proposal: proposals of a lower score are left out.
    """

    extra: Literal["pool", "level", "map"] = "pool"
    pyramid_norm: bool = False
    rpn_depth: int = 1
    box_convolutions: tuple[int, ...] = ()
    head_norm: bool = True
    box_loss: str = "l1"
    least_proposal: float = 0.0


PLAIN_STYLE = Style()


class Named(Protocol):
    """A unit of a chain, or its output."""

    @property
    def name(self) -> str:
        """The unit's name."""


@dataclass(frozen=True, slots=True, eq=False)
class PretrainedDetector:
    """A detector whose backbone is a chain.

    Attributes:
        kind: one of ``KINDS``.
        taps: names of the units that feed its pyramid, the finest first.
        finest: stride of the first of them in pixels of the input; ``extra`` the number of levels after the last.
        width: channels of every level.
        sizes: of each level's anchors, in pixels.
        linear: widths of the box head's linear layers; empty for one stage.
        proposals: kept for the second stage.
        weights: of all but the backbone, under their names in the library; empty if there are none.
        outputs: number of classes of ``weights``, including the background in two-stage detectors.
        classes: name of each output; empty where unknown.
        settings: of a detector with queries, as its ``config.json`` has them.
    """

    kind: str
    taps: tuple[str, ...]
    finest: int
    extra: int
    width: int
    sizes: tuple[tuple[float, ...], ...] = ()
    style: Style = PLAIN_STYLE
    linear: tuple[int, ...] = ()
    proposals: int = 1000
    weights: Mapping[str, Tensor] = field(default_factory=dict, repr=False)
    outputs: int = 0
    classes: tuple[str, ...] = ()
    settings: Mapping[str, Any] = field(default_factory=dict, repr=False)

    def stands_on(self, taps: Sequence[Named], extra: int) -> bool:
        """Return whether a pyramid on the units ``taps`` with ``extra`` further levels is the detector's own."""
        return (tuple(tap.name for tap in taps), extra) == (self.taps, self.extra)


def pretrained_detector(facts: Mapping[str, object]) -> PretrainedDetector | None:
    """Return the detector whose backbone a chain with these ``facts`` is; None for any other chain."""
    detector = facts.get(FACT)
    return detector if isinstance(detector, PretrainedDetector) else None


def has_part(facts: Mapping[str, object], part: str) -> bool:
    """Return whether the detector chosen for a chain with these ``facts`` has ``part``; true while none is chosen."""
    kind = facts.get(CHOSEN)
    return kind is None or part in KINDS[str(kind)].parts
