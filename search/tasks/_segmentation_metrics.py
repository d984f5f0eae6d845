"""Predicted masks; metrics over all pixels of a validation pass, and the worst images."""

from __future__ import annotations

import base64
import io
from collections.abc import Mapping, Sequence

import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from search.data.masks import Grid, Masks, void_of
from search.data.transfer import fetched
from search.records.study import ClassResult, Evaluation, Measured, Picture
from search.tasks._base import Evaluator
from search.tasks._bootstrap import mean_of

PICTURES = 12
_SIDE = 256
"""Pixels on the longer side of masks kept with a trial."""
_NO_CLASS = 255
_VOID = -1
_AT_ONCE = 2**25
"""Most scores of pixels that are enlarged together."""
_NAMED = 3


class PixelEvaluator(Evaluator):
    """Confusion matrix of pixels, loss, and the images with the lowest mean IoU; all on the device."""

    def __init__(self, classes: tuple[str, ...], device: torch.device) -> None:
        self._classes = classes
        count = len(classes)
        # float64 holds whole numbers up to 2^53.
        self._confusion = torch.zeros(count, count, dtype=torch.float64, device=device)
        # By image: right, true and predicted pixels of every class; the sum of losses, and its number of pixels.
        self._areas: list[tuple[Tensor, Tensor, Tensor, Tensor]] = []
        self._seen = 0
        self._worst = torch.empty(0, device=device)
        self._places = torch.empty(0, dtype=torch.int64, device=device)
        self._ious = torch.empty(0, count, device=device)
        self._masks: Tensor | None = None
        self._there: dict[str, Tensor] | None = None

    def update(self, outputs: Tensor, targets: Masks) -> None:
        """Add a batch: masks are compared at the size of the images, losses computed at that of ``outputs``."""
        masks = targets.masks
        void = masks == void_of(masks)
        known = masks.long().masked_fill(void, _VOID)
        losses = F.cross_entropy(outputs.float(), known, ignore_index=_VOID, reduction="none").flatten(1).sum(dim=1)
        lost = torch.stack([losses.double(), (~void).flatten(1).sum(dim=1).double()], dim=1)
        matrices = torch.stack(
            [_matrix(logits, *targets.of_image(row), len(self._classes)) for row, logits in enumerate(outputs)]
        )
        self._confusion += matrices.sum(dim=0)
        areas = matrices.diagonal(dim1=1, dim2=2), matrices.sum(dim=2), matrices.sum(dim=1)
        self._areas.append((*areas, lost))
        self._there = None
        self._collect(known, outputs.argmax(dim=1), *areas)

    def _collect(self, true: Tensor, predicted: Tensor, hits: Tensor, there: Tensor, claimed: Tensor) -> None:
        """Keep the images with the lowest mean IoU so far, without waiting for the device."""
        union = there + claimed - hits
        shown = union > 0
        ious = hits / union.clamp(min=1)
        scores = ious.sum(dim=1) / shown.sum(dim=1).clamp(min=1)
        scores = scores.where(shown.any(dim=1), 2.0)
        places = torch.arange(self._seen, self._seen + len(true), device=true.device)
        self._seen += len(true)
        # In 8 bits: pictures distinguish up to 255 classes and show further ones as none.
        pair = torch.stack([_small(true.masked_fill(true == _VOID, _NO_CLASS)), _small(predicted)], dim=1)
        scores, places = torch.cat([self._worst, scores]), torch.cat([self._places, places])
        pair = pair if self._masks is None else torch.cat([self._masks, pair])
        ious = torch.cat([self._ious, ious.where(there > 0, 2.0)])
        order = scores.argsort(stable=True)[:PICTURES]
        self._worst, self._places, self._masks, self._ious = scores[order], places[order], pair[order], ious[order]

    def compute(self) -> Mapping[str, float]:
        kept = self._fetched()
        matrix = kept["confusion"]
        iou, dice, used, recall = _shares(matrix)
        there = matrix.sum(dim=1) > 0
        total = matrix.sum()
        loss, pixels = kept["lost"].sum(dim=0).tolist() if self._areas else (0.0, 0.0)
        return {
            "miou": _mean(iou[used]),
            "dice": _mean(dice[used]),
            "pixel_accuracy": float(matrix.diag().sum() / total.clamp(min=1)),
            "mean_accuracy": _mean(recall[there]),
            "loss": loss / max(pixels, 1),
        }

    def _fetched(self) -> dict[str, Tensor]:
        """Return what was collected, on the host, which waits for the device only the first time."""
        if self._there is None:
            names = ("hits", "there", "claimed", "lost")
            columns = {
                name: torch.cat(column) for name, column in zip(names, zip(*self._areas, strict=True), strict=False)
            }
            shown = {} if self._masks is None else {"masks": self._masks}
            worst = {"worst": self._worst, "places": self._places, "ious": self._ious}
            self._there = fetched({"confusion": self._confusion, **columns, **worst, **shown})
        return self._there

    @property
    def samples(self) -> int:
        return self._seen

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        kept = self._fetched()
        parts = (kept[name].double() for name in ("hits", "there", "claimed", "lost"))
        hits, there, claimed, lost = (weights @ part for part in parts)
        total = there.sum(dim=1).clamp(min=1)
        match metric:
            case "loss":
                return lost[:, 0] / lost[:, 1].clamp(min=1)
            case "pixel_accuracy":
                return hits.sum(dim=1) / total
            case "mean_accuracy":
                return mean_of(hits / there.clamp(min=1), there > 0)
            case "dice":
                return mean_of(2 * hits / (there + claimed).clamp(min=1), there + claimed > 0)
        union = there + claimed - hits
        return mean_of(hits / union.clamp(min=1), union > 0)

    def evaluation(self) -> Evaluation:
        matrix = self._fetched()["confusion"]
        iou, dice, used, recall = _shares(matrix)
        precision = matrix.diag() / matrix.sum(dim=0).clamp(min=1)
        rows = torch.stack([precision, recall, dice, iou, matrix.sum(dim=1)], dim=1).tolist()
        results, measured = [], []
        for name, (exact, complete, f1, overlap, support), is_used in zip(
            self._classes, rows, used.tolist(), strict=True
        ):
            results.append(ClassResult(name, exact, complete, f1, int(support)))
            values = {"iou": overlap, "dice": f1, "precision": exact, "recall": complete} if is_used else {}
            measured.append(Measured(name, values, int(support)))
        return Evaluation(tuple(results), measured=tuple(measured), pictures=self._pictures())

    def _pictures(self) -> tuple[Picture, ...]:
        if self._masks is None:
            return ()
        kept = self._fetched()
        rows = zip(*(kept[name].tolist() for name in ("worst", "places", "ious")), kept["masks"], strict=True)
        return tuple(
            Picture(
                place, f"mean IoU {score:.3f}{self._words(ious)}", true_mask=_png(true), predicted_mask=_png(predicted)
            )
            for score, place, ious, (true, predicted) in rows
            if score <= 1
        )

    def _words(self, ious: Sequence[float]) -> str:
        """Return the classes of an image that were predicted worst; an IoU of 2 marks those it does not show."""
        worst = sorted((place for place, iou in enumerate(ious) if iou < 1), key=lambda place: ious[place])[:_NAMED]
        return "".join(f"; {self._classes[label]} {ious[label]:.2f}" for label in worst)


def _matrix(logits: Tensor, true: Tensor, grid: Grid, classes: int) -> Tensor:
    """Return the counts of an image's labelled pixels by true and predicted class: ``(C, C)`` float64."""
    void = true == void_of(true)
    predicted = mask_of(logits, grid)
    pairs = (true.long() * classes + predicted).masked_fill(void, classes * classes).reshape(-1)
    counts = torch.zeros(classes * classes + 1, dtype=torch.float64, device=logits.device)
    counts.scatter_add_(0, pairs, torch.ones_like(pairs, dtype=torch.float64))
    return counts[:-1].reshape(classes, classes)


def mask_of(logits: Tensor, grid: Grid) -> Tensor:
    """Return the most probable class of each pixel of an image on ``grid``: ``(H, W)``.

    The scores ``(classes, h, w)`` are enlarged bilinearly, a few classes at a time: all those of a large photograph
    would fill the memory. uint8, or int32 above 255 classes.
    """
    kind, size = torch.uint8 if len(logits) <= 255 else torch.int32, grid.shape
    best = torch.full(size, -torch.inf, device=logits.device)
    mask = torch.zeros(size, dtype=kind, device=logits.device)
    step = max(_AT_ONCE // (size[0] * size[1]), 1)
    for start in range(0, len(logits), step):
        part = _enlarged(logits[start : start + step], grid)
        score, label = part.max(dim=0)
        mask = torch.where(score > best, (label + start).to(kind), mask)
        best = torch.maximum(best, score)
    return mask


def _enlarged(logits: Tensor, grid: Grid) -> Tensor:
    """Return the scores ``(classes, h, w)`` interpolated at the pixels of ``grid``."""
    if grid.step == 1:
        return F.interpolate(logits[None], size=grid.shape, mode="bilinear", align_corners=False)[0]
    for axis, (wanted, whole) in enumerate(zip(grid.shape, grid.size, strict=True), 1):
        there = logits.shape[axis]
        pixels = torch.arange(wanted, device=logits.device) * grid.step + grid.step // 2
        places = ((pixels + 0.5) * (there / whole) - 0.5).clamp(min=0)
        lower = places.long().clamp(max=there - 1)
        share = (places - lower).reshape(-1, *[1] * (2 - axis))
        upper = logits.index_select(axis, (lower + 1).clamp(max=there - 1))
        logits = torch.lerp(logits.index_select(axis, lower), upper, share.to(logits.dtype))
    return logits


def _small(masks: Tensor) -> Tensor:
    """Return masks ``(N, H, W)`` as uint8, at most ``_SIDE`` pixels per side, by nearest neighbour."""
    height, width = masks.shape[1:]
    scale = min(_SIDE / max(height, width), 1.0)
    size = [max(round(height * scale), 1), max(round(width * scale), 1)]
    small = masks if scale == 1 else F.interpolate(masks[:, None].float(), size=size, mode="nearest-exact").squeeze(1)
    return small.clamp(max=_NO_CLASS).to(torch.uint8)


def _shares(matrix: Tensor) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Return IoU and Dice of every class, which classes occur or are predicted, and the recall of every class."""
    hits, there, claimed = matrix.diag(), matrix.sum(dim=1), matrix.sum(dim=0)
    union = there + claimed - hits
    return hits / union.clamp(min=1), 2 * hits / (there + claimed).clamp(min=1), union > 0, hits / there.clamp(min=1)


def _mean(values: Tensor | Sequence[float]) -> float:
    numbers = torch.as_tensor(values)
    return float(numbers.mean()) if len(numbers) else 0.0


def _png(mask: Tensor) -> str:
    """Return a mask ``(H, W)`` as a PNG in base64, one grey value per class, 255 for none."""
    buffer = io.BytesIO()
    Image.fromarray(mask.numpy()).save(buffer, format="PNG", optimize=True)
    return base64.b64encode(buffer.getvalue()).decode()
