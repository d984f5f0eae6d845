"""What all detectors share, and those on a feature pyramid, assembled from torchvision's own parts."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection import FCOS, RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.models.detection.faster_rcnn import FastRCNNConvFCHead, FastRCNNPredictor
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.retinanet import RetinaNetHead
from torchvision.models.detection.roi_heads import RoIHeads
from torchvision.models.detection.rpn import RegionProposalNetwork, RPNHead
from torchvision.ops import MultiScaleRoIAlign

from search.data.transfer import sent
from search.detection.pyramid import Pyramid
from search.detection.targets import BoxRows
from spaces.detector import PLAIN_STYLE, Style
from spaces.heads import Tap

_POOLED = 7
DETECTIONS = 100
"""Most boxes kept per image, as many as COCO evaluates."""
Levels = OrderedDict[str, Tensor]


@dataclass(frozen=True, slots=True)
class DetectorSettings:
    """Settings that all detectors share.

    Attributes:
        classes: their number.
        size: height and width of the network's input in pixels: the scale of boxes and anchors.
        channels: of every level; ``extra`` the number of levels after the last tap.
        sizes: of each level's anchors, in pixels; ``ratios`` height over width, the same on all levels.
        width, depth: of the layers applied to a box (Faster R-CNN) or to the maps (number of layers, FCOS).
        proposals: kept for the second stage of Faster R-CNN; ``samples`` of them are trained on.
        queries: of a decoder, which has ``decoder_layers``.
        least_score: boxes below it are not returned.
        style: how a pretrained detector differs from a newly built one.
        settings: a pretrained detector's with queries, by their names in ``transformers``.
    """

    classes: int
    size: tuple[int, int]
    channels: int
    extra: int
    sizes: tuple[tuple[float, ...], ...] = ()
    ratios: tuple[float, ...] = ()
    width: int = 1024
    depth: int = 2
    proposals: int = 1000
    samples: int = 256
    queries: int = 300
    decoder_layers: int = 3
    least_score: float = 0.05
    overlap: float = 0.5
    style: Style = PLAIN_STYLE
    settings: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Detections:
    """Predicted boxes of a batch of images: ``boxes (K, 4)`` as fractions of the input, ``scores``, ``labels``."""

    images: tuple[Mapping[str, Tensor], ...]

    def __len__(self) -> int:
        return len(self.images)


@dataclass(frozen=True, slots=True)
class Pending:
    """A detector's output in training: its levels. The rest needs the true boxes and is done by ``losses``."""

    detector: Detector
    levels: Levels


class Detector(nn.Module):
    """A detector on the outputs of some units. It returns ``Pending`` in training, else ``Detections``."""

    first_label = 0

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        super().__init__()
        self.taps = tuple(tap.unit for tap in taps)
        self.setting = setting
        self.drop = nn.Dropout2d(dropout) if dropout else nn.Identity()

    def forward(self, maps: Sequence[Tensor]) -> Pending | Detections:
        levels = self.levels(maps)
        if self.training:
            return Pending(self, levels)
        with torch.autocast(next(iter(levels.values())).device.type, enabled=False):
            height, width = self.setting.size
            predicted = self.detect(levels)
            first = predicted[0]["boxes"]
            scale = sent(torch.tensor([width, height, width, height], dtype=first.dtype), first.device)
            return Detections(
                tuple(
                    {**one, "boxes": one["boxes"] / scale, "labels": one["labels"] - self.first_label}
                    for one in predicted
                )
            )

    def levels(self, maps: Sequence[Tensor]) -> Levels:
        """Return the levels ``(N, channels, h, w)`` on which objects are looked for, from the outputs of the taps."""
        # In float32 from here on: anchors, losses and NMS lose too much in half precision.
        return OrderedDict((name, self.drop(level.float())) for name, level in self.joined(maps).items())

    @abstractmethod
    def joined(self, maps: Sequence[Tensor]) -> Levels:
        """Return the outputs of the taps as levels of one width."""

    def losses(self, levels: Levels, targets: BoxRows) -> dict[str, Tensor]:
        """Return the parts of the loss by name, each a mean over the batch."""
        with torch.autocast(next(iter(levels.values())).device.type, enabled=False):
            return self.measure(levels, targets.listed(self.setting.size, self.first_label))

    @abstractmethod
    def measure(self, levels: Levels, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        """Return the parts of the loss for true boxes in pixels."""

    @abstractmethod
    def detect(self, levels: Levels) -> list[dict[str, Tensor]]:
        """Return the boxes of every image in pixels, with scores and labels."""

    @abstractmethod
    def counted(self, maps: Sequence[Tensor]) -> Any:
        """Run the part of fixed cost, and the second stage on the number of proposals that are kept."""

    def images(self, levels: Levels) -> ImageList:
        """Return the object from which torchvision reads image sizes; it holds no pixels."""
        count = len(next(iter(levels.values())))
        return ImageList(torch.empty((count, 3, *self.setting.size), device="meta"), [self.setting.size] * count)


class PyramidDetector(Detector):
    """A detector on a feature pyramid."""

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        super().__init__(taps, setting, dropout)
        self.pyramid = Pyramid(taps, setting.channels, setting.extra, setting.style)

    def joined(self, maps: Sequence[Tensor]) -> Levels:
        levels: Levels = self.pyramid(maps)
        return levels


def stride_of(side: int, cells: int) -> float:
    """Return the distance, in pixels of an input of ``side`` pixels, between the ``cells`` points of a map.

    Networks halve their maps and round up, so that 240 pixels become 8 points 32 pixels apart, not 30. Patches of
    other sizes (14 pixels in some vision transformers) divide the input exactly.
    """
    halved = 2 ** round(math.log2(side / cells))
    return float(halved) if cells <= math.ceil(side / halved) else side / cells


class Anchors(AnchorGenerator):  # type: ignore[misc]  # torchvision has no types
    """Anchors at the points of the maps; torchvision's own rely on sides padded by its transform."""

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        height, width = image_list.tensors.shape[-2:]
        device = feature_maps[0].device
        grids = [list(level.shape[-2:]) for level in feature_maps]
        strides = [
            [stride_of(side, cells) for side, cells in ((height, rows), (width, columns))] for rows, columns in grids
        ]
        self.set_cell_anchors(torch.float32, device)
        anchors = torch.cat(self.grid_anchors(grids, strides))
        return [anchors] * len(image_list.image_sizes)


class RegionLevels:
    """The level a region is pooled from: 224 pixels at stride 16, half of that at half the stride (FPN, eq. 1)."""

    def __init__(self, strides: Sequence[float]) -> None:
        self._logs = torch.tensor(strides).log2()

    def __call__(self, regions: list[Tensor]) -> Tensor:
        """Return the index of the level for each of the regions ``(N, 4)`` of all images, in pixels."""
        sides = (torch.cat(regions)[:, 2:] - torch.cat(regions)[:, :2]).clamp(min=1e-3)
        wanted = torch.floor(4 + (sides.prod(dim=1).sqrt() / 224).log2() + 1e-6)
        return (wanted[:, None] - sent(self._logs, wanted.device)[None]).abs().argmin(dim=1)


def _pool(pyramid: Pyramid, setting: DetectorSettings) -> MultiScaleRoIAlign:
    """Return the pooling of regions from the pyramid's tapped levels, at their true scales."""
    pool = MultiScaleRoIAlign([str(index) for index in range(len(pyramid.grids))], _POOLED, sampling_ratio=2)
    strides = [stride_of(setting.size[0], rows) for rows, _ in pyramid.grids]
    pool.scales = [1 / stride for stride in strides]
    pool.map_levels = RegionLevels(strides)
    return pool


def _anchors(setting: DetectorSettings) -> Anchors:
    return Anchors(setting.sizes, (setting.ratios,) * len(setting.sizes))


class FasterRCNN(PyramidDetector):
    """A region proposal network, then a head for each proposal (https://arxiv.org/abs/1506.01497)."""

    first_label = 1

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        super().__init__(taps, setting, dropout)
        anchors = _anchors(setting)
        each = anchors.num_anchors_per_location()[0]
        kept = {"training": setting.proposals, "testing": setting.proposals}
        style = setting.style
        head = RPNHead(setting.channels, each, style.rpn_depth)
        shares = (0.7, 0.3, 256, 0.5, kept, kept, 0.7)
        self.rpn = RegionProposalNetwork(anchors, head, *shares, score_thresh=style.least_proposal)
        shape = (setting.channels, _POOLED, _POOLED)
        linear = [setting.width] * setting.depth
        box_head = FastRCNNConvFCHead(shape, style.box_convolutions, linear, norm_layer=nn.BatchNorm2d)
        top = FastRCNNPredictor(setting.width, setting.classes + 1)
        self.roi_heads = RoIHeads(
            *(_pool(self.pyramid, setting), box_head, top, 0.5, 0.5, setting.samples, 0.25, None),
            *(setting.least_score, setting.overlap, DETECTIONS),
        )

    def measure(self, levels: Levels, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        images = self.images(levels)
        proposals, losses = self.rpn(images, levels, targets)
        _, others = self.roi_heads(levels, proposals, images.image_sizes, targets)
        return {**losses, **others}

    def detect(self, levels: Levels) -> list[dict[str, Tensor]]:
        images = self.images(levels)
        proposals, _ = self.rpn(images, levels)
        detections: list[dict[str, Tensor]] = self.roi_heads(levels, proposals, images.image_sizes)[0]
        return detections

    def counted(self, maps: Sequence[Tensor]) -> Any:
        levels = self.pyramid(maps)
        self.rpn.head(list(levels.values()))
        first = next(iter(levels.values()))
        regions = first.new_empty(self.setting.proposals, first.shape[1], _POOLED, _POOLED)
        return self.roi_heads.box_predictor(self.roi_heads.box_head(regions))


class DenseDetector(PyramidDetector):
    """Boxes predicted at every point of every level at once."""

    model: RetinaNet | FCOS

    def detect(self, levels: Levels) -> list[dict[str, Tensor]]:
        maps = list(levels.values())
        outputs = self.model.head(maps)
        points = _points(maps)
        each = outputs["cls_logits"].shape[1] // sum(points)
        counts = [count * each for count in points]
        images = self.images(levels)
        anchors = [list(one.split(counts)) for one in self.model.anchor_generator(images, maps)]
        parted = {name: list(value.split(counts, dim=1)) for name, value in outputs.items()}
        detections: list[dict[str, Tensor]] = self.model.postprocess_detections(parted, anchors, images.image_sizes)
        return detections

    def measure(self, levels: Levels, targets: list[dict[str, Tensor]]) -> dict[str, Tensor]:
        maps = list(levels.values())
        anchors = self.model.anchor_generator(self.images(levels), maps)
        losses: dict[str, Tensor] = self.model.compute_loss(targets, self.model.head(maps), anchors, *self.points(maps))
        return losses

    def points(self, maps: Sequence[Tensor]) -> tuple[()] | tuple[list[int]]:
        """Return further arguments of the model's loss: for FCOS, the number of points of every level."""
        return ()

    def counted(self, maps: Sequence[Tensor]) -> Any:
        return self.model.head(list(self.pyramid(maps).values()))


def _points(maps: Sequence[Tensor]) -> list[int]:
    return [level.shape[-2] * level.shape[-1] for level in maps]


def _kept(setting: DetectorSettings) -> dict[str, Any]:
    """Return the arguments by which torchvision's one-stage detectors keep boxes."""
    return {
        "score_thresh": setting.least_score,
        "nms_thresh": setting.overlap,
        "detections_per_img": DETECTIONS,
    }


class _Stub(nn.Module):
    """Stands in for a backbone, of which torchvision's detectors need only the width."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.out_channels = channels


class Retina(DenseDetector):
    """RetinaNet: focal loss over anchors (https://arxiv.org/abs/1708.02002)."""

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        super().__init__(taps, setting, dropout)
        anchors = _anchors(setting)
        # Normalised as in torchvision's second version: without it small batches diverge at usual learning rates.
        norm = partial(nn.GroupNorm, 32) if setting.style.head_norm else None
        head = RetinaNetHead(setting.channels, anchors.num_anchors_per_location()[0], setting.classes, norm_layer=norm)
        head.regression_head._loss_type = setting.style.box_loss
        self.model = RetinaNet(
            _Stub(setting.channels),
            setting.classes,
            anchor_generator=anchors,
            head=head,
            **_kept(setting),
        )


class Fcos(DenseDetector):
    """FCOS: distances to the four sides at every point, no anchors (https://arxiv.org/abs/1904.01355)."""

    def __init__(self, taps: Sequence[Tap], setting: DetectorSettings, dropout: float) -> None:
        super().__init__(taps, setting, dropout)
        self.model = FCOS(
            _Stub(setting.channels),
            setting.classes,
            # One square per point, as large as the distance between points.
            anchor_generator=Anchors(setting.sizes, ((1.0,),) * len(setting.sizes)),
            head=FCOSHead(setting.channels, 1, setting.classes, setting.depth),
            **_kept(setting),
        )

    def points(self, maps: Sequence[Tensor]) -> tuple[list[int]]:
        return (_points(maps),)
