"""Boxes around objects of known classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Literal, Self

import torch
from torch import Tensor, nn

from search.data.augment import Augmentation
from search.data.batches import Batches
from search.data.cache import Frame
from search.data.image_loader import Request
from search.data.loader import Loader
from search.data.sample import Dataset, Sample, Split
from search.detection.anchors import Statistics, box_sides, covered, statistics
from search.detection.detectors import Detections, DetectorSettings, Pending
from search.detection.evaluator import CocoMeasures
from search.detection.exportable import exportable
from search.detection.inheritance import take_over, words
from search.detection.kinds import KINDS
from search.detection.pyramid import chosen_taps
from search.detection.results import apart, found_in, in_image
from search.detection.targets import BoxRows, frame_of, rows
from search.records.study import Json
from search.tasks._base import Evaluator, Task
from search.tasks._prediction import InputInfo, OutputDifference, PredictedBox, Prediction, PredictOptions
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.decisions import anchors as anchors_decision
from spaces.decisions import box_head, decoder_layers, detector, proposals, pyramid_levels, pyramid_width, queries
from spaces.detector import PLAIN_STYLE, pretrained_detector
from spaces.heads import Features, HeadChoice, Tap

_OCTAVE = (2**0, 2 ** (1 / 3), 2 ** (2 / 3))
"""RetinaNet's three sizes per level."""
_LOST = 0.01
"""Share of boxes that may differ between runtimes: of two overlapping boxes whose scores are equal but for rounding,
either one may be suppressed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How images are fitted and which boxes are returned.

    Attributes:
        resize: ``stretch`` the whole image to the input size, or ``letterbox`` it: keep proportions, add grey bars.
        samples: proposals per image that Faster R-CNN's second stage is trained on.
        least_score: boxes with a lower score are not returned.
        overlap: of two boxes of a class that overlap by more than this, only the more confident is returned; detectors
            with queries return both.
        shown_score: least score of boxes in the report's pictures and in predictions.
    """

    resize: Literal["stretch", "letterbox"] = "stretch"
    samples: int = 256
    least_score: float = 0.05
    overlap: float = 0.5
    shown_score: float = 0.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if self.samples < 4:
            raise ValueError(f"samples must be at least 4, got {self.samples}")
        for name in ("least_score", "overlap", "shown_score"):
            if not 0 < getattr(self, name) < 1:
                raise ValueError(f"{name} must be above 0 and below 1, got {getattr(self, name):g}")


class DetectionEvaluator(CocoMeasures, Evaluator):
    """COCO's metrics, as an evaluator for the training loop."""


class Detection(Task):
    """A detector of torchvision or ``transformers`` on the maps of any chain; COCO's mean average precision."""

    name = "detection"
    formats = ("coco", "voc", "yolo", "csv_boxes")
    options = Options
    hub_task = "object-detection"
    predicts = "boxes"
    means = (
        "boxes with their corners x0, y0, x1, y1 in shares of the input's width and height, to be cut off at the "
        "image's border, scores and numbers of classes; files with a graph have the same number of places for every "
        "image, the surest first, and score 0 where there is no box"
    )
    output_names = ("boxes", "scores", "labels")
    directions: ClassVar[Mapping[str, bool]] = {"map": True, "map_50": True, "map_75": True, "mar_100": True}
    leaves_out: ClassVar[Mapping[str, str]] = {
        "head": "a detector uses a pyramid: its decisions are detector, box_head, pyramid_levels, pyramid_width",
        "mixing": "mixed images have no boxes of their own",
        "label_smoothing": "the libraries' detectors take no smoothed labels",
    }
    chosen: Options = Options()
    _size: tuple[int, int] = (0, 0)
    _statistics: Statistics | None = None
    _advice: tuple[str, ...] = ()
    _classes: tuple[str, ...] = ()
    """Class names, which a pretrained detector may know; a finished model takes its weights from its file."""

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        bound = super().bind(chosen, dataset, pretrained)
        bound._size = pretrained.chain.input_size
        train = dataset.of(Split.TRAIN)
        bound._statistics = statistics(train, bound._size, letterbox=chosen.resize == "letterbox")
        bound._advice = _advice(train, bound._statistics, bound._size, letterbox=chosen.resize == "letterbox")
        bound._classes = dataset.classes
        if own := pretrained_detector(pretrained.chain.facts):
            bound._advice += (words(own, dataset.classes),)
        return bound

    def facts(self) -> Mapping[str, Json]:
        own = {} if self._statistics is None else {"boxes": self._statistics.to_json()}
        return {"input_size": list(self._size), **own}

    def restore(self, chosen: Options, facts: Mapping[str, Json]) -> Self:
        restored = super().restore(chosen, facts)
        height, width = facts["input_size"]
        restored._size = (height, width)
        restored._statistics = Statistics.from_json(facts["boxes"]) if "boxes" in facts else None
        return restored

    def advice(self) -> Sequence[str]:
        return self._advice

    def frame(self, split: Split, size: tuple[int, int], expected: Preprocessing) -> Frame:
        return frame_of(self.chosen.resize, size, expected.interpolation)

    def augmentation(self, preset: Augmentation) -> Augmentation:
        """Leave out operations that would rotate images without their boxes."""
        return replace(preset, operations=0)

    def targets(self, samples: Sequence[Sample], frame: Frame) -> BoxRows:
        return rows(samples, frame)

    def batches(self, request: Request) -> Loader:
        loader = super().batches(request)
        if self.chosen.resize == "letterbox" and isinstance(loader, Batches):
            # The array keeps proportions already; crops need not undo a stretch.
            loader.pixels = replace(loader.pixels, ratios=torch.ones_like(loader.pixels.ratios))
        return loader

    def kinds(self, target: Any) -> Sequence[int]:
        return tuple(box.label for box in target.boxes if not box.is_crowd)

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        values = dict(decided or {})
        levels: pyramid_levels.Levels = values.get("pyramid_levels", pyramid_levels.PLAIN)
        kind: str = values.get("detector", detector.PLAIN)
        box: box_head.BoxHead = values.get("box_head", box_head.PLAIN)
        asked = values.get("resolution", (0, 0))
        size = tuple(asked) if any(asked) else self._size
        own = features.detector
        taps = chosen_taps(features, levels.finest, levels.extra)
        wanted: anchors_decision.Anchors = values.get("anchors", anchors_decision.PLAIN)
        if wanted.source == "usual" and own and own.kind == kind and own.stands_on(taps, levels.extra):
            sizes = tuple(tuple(one * wanted.scale for one in level) for level in own.sizes)
            ratios = anchors_decision.RATIOS[wanted.ratios if kind != "fcos" else "one"]
        else:
            sizes, ratios = self._anchors(kind, wanted, taps, levels.extra, size)
        setting = DetectorSettings(
            classes=classes,
            size=size,
            channels=values.get("pyramid_width", pyramid_width.PLAIN),
            extra=levels.extra,
            sizes=sizes,
            ratios=ratios,
            width=box.width,
            depth=2 * box.depth if kind == "fcos" else box.depth,
            proposals=values.get("proposals", proposals.PLAIN),
            samples=self.chosen.samples,
            queries=values.get("queries", queries.PLAIN),
            decoder_layers=values.get("decoder_layers", decoder_layers.PLAIN),
            least_score=self.chosen.least_score,
            overlap=self.chosen.overlap,
            style=own.style if own else PLAIN_STYLE,
            settings=own.settings if own and own.kind == kind else {},
        )
        made = KINDS[kind](taps, setting, choice.dropout)
        if own and len(self._classes) == classes:
            take_over(made, taps, own, self._classes)
        return made

    def _anchors(
        self, kind: str, wanted: anchors_decision.Anchors, taps: Sequence[Tap], extra: int, size: tuple[int, int]
    ) -> tuple[tuple[tuple[float, ...], ...], tuple[float, ...]]:
        """Return anchor sizes in pixels by level, and their ratios."""
        strides = _strides(taps, extra)
        if kind == "fcos":
            return tuple((float(stride),) for stride in strides), (1.0,)
        octave = _OCTAVE if kind == "retinanet" else (1.0,)
        if wanted.source == "data" and self._statistics is not None:
            centres, ratios = self._statistics.suggested(len(strides), size)
            middle = octave[len(octave) // 2]
            return tuple(tuple(centre / middle * step * wanted.scale for step in octave) for centre in centres), ratios
        factor = (4 if kind == "retinanet" else 8) * wanted.scale
        sizes = tuple(tuple(factor * stride * step for step in octave) for stride in strides)
        return sizes, anchors_decision.RATIOS[wanted.ratios]

    def loss(self, outputs: Any, targets: Any, label_smoothing: float = 0.0) -> Tensor:
        if not isinstance(outputs, Pending):
            raise TypeError(f"expected what a detector gives in training, got {type(outputs).__name__}")
        parts = outputs.detector.losses(outputs.levels, targets)
        return torch.stack(list(parts.values())).sum()

    def evaluator(self, classes: tuple[str, ...], device: Any) -> DetectionEvaluator:
        return DetectionEvaluator(classes, self.chosen.shown_score)

    def graph(self, network: nn.Module) -> nn.Module:
        """Return the detector with fixed shapes: boxes as fractions of the input, scores (0 for no box), labels."""
        return exportable(network)

    def read(self, outputs: Any) -> Detections:
        return found_in(outputs)

    def predicted(
        self, outputs: Detections, classes: tuple[str, ...], given: Sequence[InputInfo], wanted: PredictOptions
    ) -> list[Prediction]:
        least = self.chosen.shown_score if wanted.threshold is None else wanted.threshold
        predictions = []
        for detections, image in zip(outputs.images, given, strict=True):
            one = in_image(detections, image.shown)
            order = one["scores"].argsort(descending=True, stable=True)
            kept = order[one["scores"][order] >= least][: wanted.most]
            pixels = one["boxes"].new_tensor([image.width, image.height] * 2)
            sides = (one["boxes"][kept] * pixels).tolist()
            rows = zip(one["labels"][kept].tolist(), one["scores"][kept].tolist(), sides, strict=True)
            predictions.append(
                Prediction(boxes=tuple(PredictedBox(classes[label], score, *box) for label, score, box in rows))
            )
        return predictions

    def difference(self, outputs: Detections, expected: Detections, classes: tuple[str, ...]) -> OutputDifference:
        gaps = [apart(one, other) for one, other in zip(outputs.images, expected.images, strict=True)]
        lost = sum(gap.lost for gap in gaps)
        most = max(1, round(_LOST * sum(len(one["scores"]) for one in expected.images)))
        largest = max((gap.largest for gap in gaps), default=0.0) if lost <= most else 1.0
        scale = float(any(len(one["scores"]) for one in expected.images))
        return OutputDifference(largest, scale, sum(gap.lost == 0 for gap in gaps))


def _strides(taps: Sequence[Tap], extra: int) -> list[int]:
    last = taps[-1].reduction
    return [tap.reduction for tap in taps] + [last * 2**step for step in range(1, extra + 1)]


def _advice(
    train: Sequence[Sample], statistics: Statistics, size: tuple[int, int], *, letterbox: bool
) -> tuple[str, ...]:
    """Return advice on anchors: how well the usual ones, and fitted ones, cover the training boxes."""
    sides = box_sides(train, size, letterbox=letterbox)
    strides = (8, 16, 32, 64)
    usual = covered(sides, [8.0 * stride for stride in strides], anchors_decision.RATIOS["three"])
    sizes, ratios = statistics.suggested(len(strides), size)
    fitted = covered(sides, sizes, ratios)
    side = math.sqrt(size[0] * size[1])
    low, middle, high = (share * side for share in statistics.sizes)
    return (
        f"{statistics.count} training boxes, {low:.0f} to {high:.0f} pixels large (5th to 95th percentile, square root "
        f"of the area), median {middle:.0f}; height over width {statistics.ratios[0]:.2f} to "
        f"{statistics.ratios[2]:.2f}",
        f"anchors: the usual ones overlap {100 * usual:.0f} % of them by half or more, "
        f"`source: data` ({', '.join(f'{one:.0f}' for one in sizes)} pixels; ratios "
        f"{', '.join(f'{one:g}' for one in ratios)}) {100 * fitted:.0f} %",
    )


task = Detection()
