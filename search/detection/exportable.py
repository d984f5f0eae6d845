"""Detectors as tensor programs of fixed shapes, which can be exported as graphs.

torchvision's detectors return as many boxes as they find, image by image. Here every image has the same number of
slots, those without a box have score 0, and a whole batch is computed at once; the boxes are the same.
"""

from __future__ import annotations

import sys
from abc import abstractmethod
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.ops import nms, roi_align

from search.detection.detectors import DETECTIONS, DenseDetector, Detector, FasterRCNN, Levels
from search.detection.queries import QueryDetector
from search.errors import RunError

_NOTHING = -1.0
"""Score of slots without a box."""
_OUTSIDE = ((-2.0, -2.0, -1.0, -1.0), (-5.0, -5.0, -4.0, -4.0))
_SMALLEST = 1e-2
"""Narrower boxes, in pixels, are dropped, as in torchvision's second stage."""


def exportable(network: Any) -> nn.Module:
    """Return ``network``, an ``InferenceNetwork`` that ends in a detector, as a module of fixed shapes.

    It takes ``(N, 3, H, W)`` and returns ``boxes (N, K, 4)``, corners ``x0, y0, x1, y1`` as fractions of the input,
    ``scores (N, K)``, in descending order and 0 for slots without a box, and ``labels (N, K)`` int64 from 0.

    Raises:
        RunError: there is no such module for this detector.
    """
    head = network.head
    if isinstance(head, FasterRCNN):
        return FixedTwoStage(network)
    if isinstance(head, DenseDetector):
        return FixedDense(network)
    if isinstance(head, QueryDetector):
        return FixedQueries(network)
    raise RunError(f"a {type(head).__name__} has no graph of fixed shapes; export it as safetensors")


class FixedSizeDetector(nn.Module):
    """A network that ends in a detector, with the anchors of its input size."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network
        self.detector: Any = network.head
        detector: Detector = network.head
        with torch.no_grad():
            levels = detector.levels(network.before_head(torch.zeros(1, *network.input_shape)))
            anchors = self.generator()(detector.images(levels), list(levels.values()))[0]
        points = [level.shape[-2] * level.shape[-1] for level in levels.values()]
        self.counts = [count * (len(anchors) // sum(points)) for count in points]
        for index, part in enumerate(anchors.split(self.counts)):
            self.register_buffer(f"anchors_{index}", part.clone(), persistent=False)

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and labels of ``inputs``."""
        boxes, scores, labels = self.boxes_of(self.detector.levels(self.network.before_head(inputs)))
        height, width = self.detector.setting.size
        return boxes / boxes.new_tensor([width, height, width, height]), scores, labels

    @abstractmethod
    def generator(self) -> nn.Module:
        """Return the generator of the detector's anchors."""

    @abstractmethod
    def boxes_of(self, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes in pixels, scores and labels."""

    def anchors(self, place: int) -> Tensor:
        """Return the anchors ``(A, 4)`` of a level in pixels."""
        anchors: Tensor = getattr(self, f"anchors_{place}")
        return anchors

    def clipped(self, boxes: Tensor) -> Tensor:
        """Return ``boxes`` ``(..., 4)`` clipped at the border of the input."""
        height, width = self.detector.setting.size
        across, down = boxes[..., 0::2].clamp(0, width), boxes[..., 1::2].clamp(0, height)
        return torch.stack([across, down], dim=-1).flatten(-2)

    def suppressed(
        self, boxes: Tensor, scores: Tensor, kinds: Tensor, overlap: float, most: int
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Return the ``most`` most confident boxes of every image that no more confident one of their kind overlaps.

        Args:
            boxes: ``(N, M, 4)`` inside the input, in pixels; ``scores`` ``(N, M)``, below 0 for none.
            kinds: ``(N, M)`` numbers; boxes of different kinds do not affect each other.

        Returns:
            boxes ``(N, most, 4)``, scores, and kinds, the highest scores first; scores below 0 for slots without a box.
        """
        height, width = self.detector.setting.size
        # Boxes of other images are shifted sideways and those of other kinds down, so that they never overlap.
        image = torch.ones_like(scores).cumsum(dim=0) - 1
        right, down = image * (width + 1), kinds.to(scores) * (height + 1)
        apart = (boxes + torch.stack([right, down, right, down], dim=-1)).flatten(0, 1)
        flat = scores.flatten()
        # Slots without a box lie on top of each other outside everything: dropping them would make shapes depend on
        # scores. There are two more because a graph's suppression has to keep two, by torchvision's own rule.
        outside = apart.new_tensor(_OUTSIDE)
        apart = torch.cat([torch.where((flat >= 0)[:, None], apart, outside[0]), outside])
        kept = nms(apart, torch.cat([flat, torch.full_like(apart[-2:, 0], _NOTHING)]), overlap)
        marked = torch.zeros_like(apart[:, 0]).index_fill(0, kept, 1.0)[:-2].reshape(scores.shape)
        sure, places = torch.where(marked > 0, scores, _NOTHING).topk(most, dim=1)
        return _gathered(boxes, places), sure, kinds.gather(1, places)


class FixedDense(FixedSizeDetector):
    """RetinaNet and FCOS: boxes at every point of every level."""

    def generator(self) -> nn.Module:
        generator: nn.Module = self.detector.model.anchor_generator
        return generator

    def boxes_of(self, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        model = self.detector.model
        outputs = model.head(list(levels.values()))
        scores = outputs["cls_logits"].sigmoid()
        if "bbox_ctrness" in outputs:
            scores = (scores * outputs["bbox_ctrness"].sigmoid()).sqrt()
        parts = zip(scores.split(self.counts, dim=1), outputs["bbox_regression"].split(self.counts, dim=1), strict=True)
        kept = [self._level(index, *part) for index, part in enumerate(parts)]
        boxes, sure, labels = (torch.cat([part[number] for part in kept], dim=1) for number in range(3))
        most = min(model.detections_per_img, sum(self._kept(count) for count in self.counts))
        boxes, sure, labels = self.suppressed(boxes, sure, labels, model.nms_thresh, most)
        return boxes, sure.clamp(min=0), labels

    def _kept(self, anchors: int) -> int:
        """Return the number of boxes of a level that are considered."""
        return min(int(self.detector.model.topk_candidates), anchors * int(self.detector.setting.classes))

    def _level(self, place: int, scores: Tensor, coded: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        model, classes = self.detector.model, self.detector.setting.classes
        sure, places = scores.flatten(1).topk(self._kept(self.counts[place]), dim=1)
        anchors = torch.div(places, classes, rounding_mode="floor")
        near = self.anchors(place)[anchors]
        codes = _gathered(coded, anchors)
        decode = getattr(model.box_coder, "decode_single", model.box_coder.decode)  # FCOS's coder has only ``decode``
        boxes = decode(codes.reshape(-1, 4), near.reshape(-1, 4)).reshape(near.shape)
        return self.clipped(boxes), torch.where(sure > model.score_thresh, sure, _NOTHING), places % classes


class FixedTwoStage(FixedSizeDetector):
    """Faster R-CNN: proposals, then a second stage for each."""

    def generator(self) -> nn.Module:
        generator: nn.Module = self.detector.rpn.anchor_generator
        return generator

    def boxes_of(self, levels: Levels) -> tuple[Tensor, Tensor, Tensor]:
        maps = list(levels.values())
        regions, sure = self._proposals(maps)
        heads, classes = self.detector.roi_heads, int(self.detector.setting.classes)
        logits, coded = heads.box_predictor(heads.box_head(self._pooled(maps, regions)))
        boxes = heads.box_coder.decode_single(coded, regions.reshape(-1, 4))
        # Class 0 is the background.
        boxes = self.clipped(boxes.reshape(-1, regions.shape[1], classes + 1, 4)[:, :, 1:].flatten(1, 2))
        scores = logits.softmax(dim=-1).reshape(-1, regions.shape[1], classes + 1)[:, :, 1:]
        sides = boxes[..., 2:] - boxes[..., :2]
        is_kept = (scores > heads.score_thresh) & (sure >= 0)[..., None]
        is_kept = is_kept.flatten(1) & (sides >= _SMALLEST).all(dim=-1)
        labels = torch.arange(classes, device=boxes.device).repeat(regions.shape[1]).expand_as(is_kept)
        most = min(DETECTIONS, regions.shape[1] * classes)
        kept = self.suppressed(boxes, torch.where(is_kept, scores.flatten(1), _NOTHING), labels, heads.nms_thresh, most)
        return kept[0], kept[1].clamp(min=0), kept[2]

    def _proposals(self, maps: Sequence[Tensor]) -> tuple[Tensor, Tensor]:
        """Return regions ``(N, R, 4)`` in pixels and their objectness, below 0 for slots without a region."""
        rpn, (objects, deltas) = self.detector.rpn, self.detector.rpn.head(list(maps))
        boxes, sure, levels = [], [], []
        kept = [min(int(rpn.pre_nms_top_n()), count) for count in self.counts]
        for index, most in enumerate(kept):
            scores = _listed(objects[index], 1).squeeze(-1)
            best, places = scores.topk(most, dim=1)
            near, codes = self.anchors(index)[places], _gathered(_listed(deltas[index], 4), places)
            decoded = rpn.box_coder.decode_single(codes.reshape(-1, 4), near.reshape(-1, 4)).reshape(near.shape)
            boxes.append(self.clipped(decoded))
            sure.append(best.sigmoid())
            levels.append(torch.full_like(places, index))
        candidates, scores = torch.cat(boxes, dim=1), torch.cat(sure, dim=1)
        large = ((candidates[..., 2:] - candidates[..., :2]) >= rpn.min_size).all(dim=-1)
        scores = torch.where(large & (scores >= rpn.score_thresh), scores, _NOTHING)
        most = min(int(rpn.post_nms_top_n()), sum(kept))
        regions, certain, _ = self.suppressed(candidates, scores, torch.cat(levels, dim=1), rpn.nms_thresh, most)
        return regions, certain

    def _pooled(self, maps: Sequence[Tensor], regions: Tensor) -> Tensor:
        """Return the features of the regions ``(N, R, 4)``, each pooled from its own level: ``(N * R, C, h, w)``."""
        pool = self.detector.roi_heads.box_roi_pool
        flat = regions.reshape(-1, 4)
        level = pool.map_levels([flat])
        image = (torch.ones_like(regions[..., :1]).cumsum(dim=0) - 1).reshape(-1, 1)
        rows = torch.cat([image, flat], dim=1)
        total: Tensor | None = None
        for index, scale in enumerate(pool.scales):
            pooled = roi_align(maps[index], rows, pool.output_size, scale, pool.sampling_ratio)
            pooled = pooled * (level == index).to(pooled)[:, None, None, None]
            total = pooled if total is None else total + pooled
        if total is None:
            raise RunError("the detector pools from no level")
        return total


class FixedQueries(nn.Module):
    """RT-DETR or D-FINE, which find the same number of boxes in every image anyway."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.network = network

    def forward(self, inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return boxes, scores and labels of ``inputs``."""
        head: QueryDetector = self.network.head
        levels = head.levels(self.network.before_head(inputs))
        with _lengths_from_shapes(sys.modules[type(head.model.model).__module__]):
            return head.surest(levels)


@contextmanager
def _lengths_from_shapes(module: Any) -> Iterator[None]:
    """Let ``module`` read a tensor's length from its shape: ``len`` binds a graph to the batch it is recorded on."""
    module.len = lambda what: what.shape[0] if isinstance(what, Tensor) else len(what)
    try:
        yield
    finally:
        del module.len


def _gathered(rows: Tensor, places: Tensor) -> Tensor:
    """Return the rows ``(N, k, 4)`` of ``(N, M, 4)`` at the indices ``places`` ``(N, k)``."""
    return rows.gather(1, places[..., None].expand(-1, -1, rows.shape[-1]))


def _listed(maps: Tensor, width: int) -> Tensor:
    """Return a head's outputs at the points of a level, ``(N, A * width, h, w)``, anchor by anchor."""
    apart = torch.unflatten(maps, 1, (-1, width))
    return apart.permute(0, 3, 4, 1, 2).flatten(1, 3)
