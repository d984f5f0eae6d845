"""One label per pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from search.data import masks
from search.data.augment import Augmentation
from search.data.cache import Frame
from search.data.image_loader import Request, image_batches
from search.data.loader import Loader
from search.data.masks import Grid, Masks, WholeFrame
from search.data.sample import Dataset, Sample, Split
from search.errors import UserError
from search.tasks._base import Task
from search.tasks._pixel_losses import pixel_loss
from search.tasks._prediction import InputInfo, OutputDifference, Prediction, PredictOptions, ScoredLabel
from search.tasks._segmentation_metrics import PixelEvaluator, mask_of
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.decoders import decoders
from spaces.decoders._base import DecoderChoice, DenseHead, DenseScores
from spaces.heads import Features, HeadChoice

_ROUGH, _FINE = 0.02, 50.0
"""Bounds of the class weights under ``balance``, as multiples of the median."""
_FEW = 1e-3


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """How pixels are learnt.

    Attributes:
        balance: weight every class in cross-entropy and focal loss by the median frequency over its own
            (https://arxiv.org/abs/1411.4734), at most 50 times; helps rare classes.
        canvas: size of decoded training images, in multiples of the input's, so that crops stay sharp.
    """

    balance: bool = False
    canvas: float = 1.5
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        if not 1 <= self.canvas <= 4:
            raise ValueError(f"canvas must be from 1 to 4, got {self.canvas:g}")


class Segmentation(Task):
    """Cross-entropy, Dice or focal pixel loss; mean IoU, mean Dice and accuracy over all pixels together.

    They are measured on masks at the size of the images, as ``predicted`` returns them.
    """

    name = "segmentation"
    formats = ("mask_folder", "coco_masks")
    options = Options
    quantises = True
    hub_task = "image-segmentation"
    predicts = "masks"
    means = (
        "logits of every pixel of the input, (images, classes, height, width); for the mask of an image, interpolate "
        "them to its size (bilinear, align_corners=False) and take each pixel's largest"
    )
    directions: ClassVar[Mapping[str, bool]] = {
        "miou": True,
        "dice": True,
        "pixel_accuracy": True,
        "mean_accuracy": True,
        "loss": False,
    }
    leaves_out: ClassVar[Mapping[str, str]] = {
        "head": "pixels are predicted by a decoder, not by pooling and hidden layers (space.decoder)"
    }
    chosen: Options = Options()
    _weights: Tensor | None = None

    def bind(self, chosen: Options, dataset: Dataset, pretrained: Pretrained) -> Self:
        bound = super().bind(chosen, dataset, pretrained)
        if chosen.balance:
            bound._weights = _median_weights(dataset.of(Split.TRAIN), len(dataset.classes))
        return bound

    def frame(self, split: Split, size: tuple[int, int], expected: Preprocessing) -> Frame:
        """Return a frame that shows the whole image, squashed to the input; larger in training, for crops."""
        scale = self.chosen.canvas if split is Split.TRAIN else 1.0
        canvas = (round(size[0] * scale), round(size[1] * scale))
        return WholeFrame(size, canvas, expected.interpolation, whole=True)

    def augmentation(self, preset: Augmentation) -> Augmentation:
        return masks.whole(preset)

    def targets(self, samples: Sequence[Sample], frame: Frame) -> Masks:
        """Return the masks ``(N, H, W)`` of ``samples``, framed like their images."""
        return masks.decode(samples, frame, _classes_of(samples), "", None)

    def batches(self, request: Request) -> Loader:
        frame = self.frame(request.split, request.size, request.expected)
        name, classes = f"{request.dataset.fingerprint}-{request.split}", len(request.dataset.classes)

        def targets(samples: Sequence[Sample], frame: Frame) -> Masks:
            decoded = masks.decode(samples, frame, classes, name, request.folder)
            return decoded if request.is_training else masks.with_full(decoded, samples, classes, name, request.folder)

        return image_batches(request, frame, self.augmentation(request.augmentation), targets)

    def kinds(self, target: masks.Mask) -> Sequence[int]:
        return tuple(label for label, _ in target.pixels)

    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        values = {
            "decoder": DecoderChoice(),
            "upsampling": "bilinear",
            "auxiliary_loss": 0.0,
            "segmentation_loss": "cross_entropy",
            **(decided or {}),
        }
        chosen: DecoderChoice = values["decoder"]
        return DenseHead(
            features,
            classes,
            decoders()[chosen.kind],
            chosen,
            upsampling=values["upsampling"],
            auxiliary=values["auxiliary_loss"],
            dropout=choice.dropout,
            loss=values["segmentation_loss"],
        )

    def loss(self, outputs: DenseScores | Tensor, targets: Masks, label_smoothing: float = 0.0) -> Tensor:
        if isinstance(outputs, Tensor):
            return pixel_loss(outputs, targets.masks, "cross_entropy", label_smoothing, self._weights)
        total = pixel_loss(outputs.logits, targets.masks, outputs.loss, label_smoothing, self._weights)
        if outputs.auxiliary is None:
            return total
        beside = pixel_loss(outputs.auxiliary, targets.masks, outputs.loss, label_smoothing, self._weights)
        return total + outputs.weight * beside

    def evaluator(self, classes: tuple[str, ...], device: torch.device) -> PixelEvaluator:
        return PixelEvaluator(classes, device)

    def predicted(
        self, outputs: Tensor, classes: tuple[str, ...], given: Sequence[InputInfo], wanted: PredictOptions
    ) -> list[Prediction]:
        predictions = []
        for logits, image in zip(outputs, given, strict=True):
            mask = mask_of(logits, Grid((image.height, image.width)))
            counts = torch.bincount(mask.flatten().int(), minlength=len(classes))
            order = counts.argsort(descending=True, stable=True)
            shares = [
                ScoredLabel(classes[label], int(counts[label]) / mask.numel()) for label in order if counts[label]
            ]
            predictions.append(Prediction(answers=tuple(shares[: wanted.most]), mask=mask))
        return predictions

    def difference(self, outputs: Tensor, expected: Tensor, classes: tuple[str, ...]) -> OutputDifference:
        """Return the difference; masks that differ in at most one pixel of a thousand agree."""
        differing = (outputs.argmax(dim=1) != expected.argmax(dim=1)).flatten(1).float().mean(dim=1)
        same = int((differing <= _FEW).sum())
        return OutputDifference(float((outputs - expected).abs().max()), float(expected.abs().max()), same)


def _classes_of(samples: Sequence[Sample]) -> int:
    return 1 + max((label for sample in samples for label, _ in sample.target.pixels), default=0)


def _median_weights(samples: Sequence[Sample], classes: int) -> Tensor:
    """Return the median frequency over each class's own: its share of the pixels in images that show it.

    Raises:
        UserError: no training image has a labelled pixel.
    """
    pixels, around = torch.zeros(classes, dtype=torch.float64), torch.zeros(classes, dtype=torch.float64)
    for sample in samples:
        total = sum(count for _, count in sample.target.pixels)
        for label, count in sample.target.pixels:
            pixels[label] += count
            around[label] += total
    there = pixels > 0
    if not there.any():
        raise UserError("segmentation.balance: no training image has a labelled pixel")
    frequency = pixels / around.clamp(min=1)
    weights = frequency[there].median() / frequency.clamp(min=1e-12)
    return torch.where(there, weights, 1.0).clamp(_ROUGH, _FINE).float()


task = Segmentation()
