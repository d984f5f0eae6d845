"""torchvision's detectors trained on COCO: their backbones as chains, with pyramid and heads for detection."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torchvision import models
from torchvision.models.detection import FCOS, FasterRCNN, RetinaNet
from torchvision.models.detection.faster_rcnn import FastRCNNPredictor
from torchvision.ops.feature_pyramid_network import LastLevelP6P7

from spaces.backbones import _weights as files
from spaces.backbones._base import Backbone, Preprocessing, Source, Weights
from spaces.backbones._state_dicts import of_another_kind
from spaces.chains.chain import Chain, cut
from spaces.detector import FACT, PretrainedDetector, Style
from spaces.errors import WeightsError

_LABELS = {
    "fasterrcnn_resnet50_fpn": "Faster R-CNN ResNet-50",
    "fasterrcnn_resnet50_fpn_v2": "Faster R-CNN v2 ResNet-50",
    "fasterrcnn_mobilenet_v3_large_fpn": "Faster R-CNN MobileNetV3-Large",
    "fasterrcnn_mobilenet_v3_large_320_fpn": "Faster R-CNN MobileNetV3-Large 320",
    "retinanet_resnet50_fpn": "RetinaNet ResNet-50",
    "retinanet_resnet50_fpn_v2": "RetinaNet v2 ResNet-50",
    "fcos_resnet50_fpn": "FCOS ResNet-50",
}
_LICENSE = "BSD-3-Clause"
_STRIDES = {"layer1": 4, "layer2": 8, "layer3": 16, "layer4": 32, "13": 32, "16": 32}
"""Strides of the stages that feed a pyramid, in pixels of the input."""
_WITHOUT_EPSILON = ("fasterrcnn_resnet50_fpn", "retinanet_resnet50_fpn")
"""Networks whose published weights were trained with an epsilon of 0; torchvision sets its own norms to 0."""
_PATH = "backbone.body"
_CLASSES = {"two stages": "roi_heads.box_predictor.cls_score", "one stage": "head.classification_head.cls_logits"}


class DetectorBackbone(Backbone):
    """The backbone of one detector of torchvision, under the detector's name there."""

    def __init__(self, model: str) -> None:
        self._model = model
        self.name = f"torchvision_detection:{model}"
        self.label = _LABELS[model]
        enum = models.get_model_weights(model)
        self._enum = [enum.DEFAULT, *(member for member in enum if member is not enum.DEFAULT)]
        self._categories = tuple(str(name) for name in self._enum[0].meta["categories"])
        self.parameters = self._enum[0].meta["num_params"]
        self.gflops = self._enum[0].meta["_ops"]

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        side = 320 if "_320_" in self._model else 800
        return tuple(
            Weights(
                name=member.name,
                file_name=member.url.rsplit("/", 1)[1],
                url=member.url,
                preprocessing=Preprocessing(side, side),
                box_map=member.meta["_metrics"]["COCO-val2017"]["box_map"],
                license=member.meta.get("license", _LICENSE),
            )
            for member in self._enum
        )

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        network: nn.Module = models.get_model(self._model, weights=None, weights_backbone=None)
        return network

    def load(self, network: nn.Module, path: Path) -> None:
        """Put the weights of a file into ``network``, in place; it may have been trained for any number of classes."""
        state = files.load(path)
        _resize_classes(network, state)
        try:
            missing, unknown = network.load_state_dict(state, strict=False)  # torchvision renames older keys itself
        except RuntimeError as error:
            shapes = [line.strip() for line in str(error).splitlines()[1:]]
            raise self._mismatch(path, f"of another shape: {shapes[0] if shapes else error}") from error
        missing = [name for name in missing if not name.endswith("num_batches_tracked")]
        others = of_another_kind(network.state_dict(), state)
        for kind, names in (("missing", missing), ("unknown", unknown), ("of another kind of number", others)):
            if names:
                raise self._mismatch(path, f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' * (len(names) > 3)})")
        if self._model in _WITHOUT_EPSILON and path.name == self.weights[0].file_name:
            absorb_epsilon(network)

    def _mismatch(self, path: Path, what: str) -> WeightsError:
        return WeightsError(f"the weights in {path} are of another network than torchvision's {self._model}: {what}")

    def chain(self, network: nn.Module, input_size: tuple[int, int], *, has_weights: bool) -> Chain:
        """Return the detector's backbone; the chain's fact ``pretrained_detector`` describes its other parts."""
        chain = cut(_Trunk(network).train(network.training), input_size)
        detector = _found(network, [unit.name for unit in chain])
        if has_weights:
            own = {name: value for name, value in network.state_dict().items() if not name.startswith(f"{_PATH}.")}
            outputs = own[f"{_class_layer(network)}.bias"].numel() // _anchors_of_a_point(network)
            known = self._categories if outputs == len(self._categories) else ()
            detector = replace(detector, weights=own, outputs=outputs, classes=known)
        return replace(chain, facts={**chain.facts, FACT: detector})


class TorchvisionDetection(Source):
    """torchvision's detectors on a feature pyramid; SSD, whose maps are its own, has none."""

    name = "torchvision_detection"
    about = (
        "detectors trained on COCO; the chain is the backbone, and for the task detection candidates whose pyramid "
        "and heads are made alike start from the detector's. Parameters, GFLOPs and box mAP are the whole detector's"
    )

    def names(self) -> Sequence[str]:
        return tuple(_LABELS)

    def open(self, name: str) -> DetectorBackbone:
        return DetectorBackbone(name)


class _Trunk(nn.Module):
    """A detector's backbone alone, as one sequence, with weights under the detector's names."""

    def __init__(self, network: Any) -> None:
        super().__init__()
        self.backbone: Any = nn.Module()
        self.backbone.body = nn.Sequential(OrderedDict(network.backbone.body.items()))

    def forward(self, images: Tensor) -> Tensor:
        """Return the last map for images ``(N, 3, H, W)``."""
        features: Tensor = self.backbone.body(images)
        return features


def absorb_epsilon(network: nn.Module) -> None:
    """Change batch norms, in place, so that they compute the same with no epsilon added to the variance.

    Setting their ``eps`` to 0 would do, until training meets a channel without variance.
    """
    with torch.no_grad():
        for module in network.modules():
            if isinstance(module, nn.BatchNorm2d):
                variance: Any = module.running_var
                module.weight.mul_(((variance + module.eps) / variance).sqrt())


def _class_layer(network: nn.Module) -> str:
    return _CLASSES["two stages" if isinstance(network, FasterRCNN) else "one stage"]


def _anchors_of_a_point(network: Any) -> int:
    """Return the number of class outputs of one class per point; 1 for a box."""
    return 1 if isinstance(network, FasterRCNN) else int(network.head.classification_head.num_anchors)


def _resize_classes(network: Any, state: Mapping[str, Tensor]) -> None:
    """Give ``network`` the class outputs that the weights have, in place."""
    bias = state.get(f"{_class_layer(network)}.bias")
    if bias is None:
        return  # reported as a missing key
    outputs = bias.numel()
    if isinstance(network, FasterRCNN):
        predictor: Any = network.roi_heads.box_predictor
        network.roi_heads.box_predictor = FastRCNNPredictor(predictor.cls_score.in_features, outputs)
    else:
        head = network.head.classification_head
        old = head.cls_logits
        head.cls_logits = nn.Conv2d(old.in_channels, outputs, old.kernel_size, padding=old.padding)
        head.num_classes = outputs // _anchors_of_a_point(network)


def _found(network: Any, units: Sequence[str]) -> PretrainedDetector:
    """Return how ``network`` is made, without weights."""
    stages = list(network.backbone.body.return_layers)
    blocks = network.backbone.fpn.extra_blocks
    is_convolved = isinstance(blocks, LastLevelP6P7)
    plain = Style(
        extra=("level" if blocks.use_P5 else "map") if is_convolved else "pool",
        pyramid_norm=len(network.backbone.fpn.inner_blocks[0]) > 1,
    )
    made = PretrainedDetector(
        kind="faster_rcnn",
        taps=tuple(_last_of(f"{_PATH}.{stage}", units) for stage in stages),
        finest=_STRIDES[stages[0]],
        extra=2 if is_convolved else 1,
        width=network.backbone.out_channels,
        sizes=(),
        style=plain,
    )
    return _two_stages(made, network) if isinstance(network, FasterRCNN) else _one_stage(made, network)


def _two_stages(made: PretrainedDetector, network: Any) -> PretrainedDetector:
    layers = list(network.roi_heads.box_head.modules())
    style = replace(
        made.style,
        rpn_depth=len(network.rpn.head.conv),
        box_convolutions=tuple(layer.out_channels for layer in layers if isinstance(layer, nn.Conv2d)),
        least_proposal=network.rpn.score_thresh,
    )
    return replace(
        made,
        sizes=_floats(network.rpn.anchor_generator.sizes),
        linear=tuple(layer.out_features for layer in layers if isinstance(layer, nn.Linear)),
        proposals=network.rpn._post_nms_top_n["testing"],
        style=style,
    )


def _one_stage(made: PretrainedDetector, network: RetinaNet | FCOS) -> PretrainedDetector:
    kind = "retinanet" if isinstance(network, RetinaNet) else "fcos"
    style = replace(
        made.style,
        head_norm=any(isinstance(layer, nn.GroupNorm) for layer in network.head.modules()),
        box_loss=getattr(network.head.regression_head, "_loss_type", "l1"),
    )
    return replace(made, kind=kind, sizes=_floats(network.anchor_generator.sizes), style=style)


def _floats(sizes: Sequence[Sequence[float]]) -> tuple[tuple[float, ...], ...]:
    return tuple(tuple(float(size) for size in level) for level in sizes)


def _last_of(path: str, units: Sequence[str]) -> str:
    """Return the last of ``units`` inside the module at ``path``."""
    return [name for name in units if name == path or name.startswith(f"{path}.")][-1]


source = TorchvisionDetection()
