"""Detectors with queries in the layout of Hugging Face's hub: RT-DETR v2 and D-FINE, as trained on COCO.

A name is a folder with ``config.json`` and weights, or a repository of the hub (``PekingU/rtdetr_v2_r18vd``).
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import fields, replace
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spaces.backbones._base import Preprocessing, Source
from spaces.backbones._hub_layout import INTERPOLATIONS, HubBackbone, config_of, is_there, package, quiet
from spaces.chains.chain import Chain, cut
from spaces.detector import FACT, PretrainedDetector
from spaces.errors import BackboneError

_KINDS = {"rt_detr_v2": "rtdetr", "d_fine": "dfine"}
"""The kind of detector of each type of model."""
_SIDE = 640
_TWICE = ("class_embed.", "bbox_embed.")
"""Heads that the library's detector holds under two names; the decoder's own are kept."""
_BACKBONE = "model.backbone."


class DetectorBackbone(HubBackbone):
    """The backbone of one detector; the chain's fact ``pretrained_detector`` describes its other parts."""

    def __init__(self, name: str, folder: Path | None) -> None:
        """Describe the detector in ``folder``; without one the description comes from the hub.

        Raises:
            BackboneError: no such model, or one of another type.
        """
        super().__init__("transformers_detection", name, folder, config_of(name, folder, tuple))
        kind = self._config.get("model_type")
        if kind not in _KINDS:
            raise BackboneError(
                f"{self.name} is of type {kind!r}; expected a detector of type {' or '.join(_KINDS)}: other kinds have "
                "no encoder and decoder to start from here"
            )

    @property
    def preprocessing(self) -> Preprocessing:
        processor = self.processor()
        size = processor.get("size")
        side = int(size.get("height", _SIDE)) if isinstance(size, dict) else _SIDE
        mean, std = (0.0, 0.0, 0.0), (1.0, 1.0, 1.0)
        if processor.get("do_normalize", False):
            mean, std = (
                tuple(processor.get(name, plain)) for name, plain in (("image_mean", mean), ("image_std", std))
            )
        return Preprocessing(side, side, mean, std, INTERPOLATIONS.get(int(processor.get("resample", 2)), "bilinear"))

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        config = self.described()
        config.freeze_backbone_batch_norms = False  # `freeze` and `batch_norm` say what keeps its statistics
        with quiet():
            network: nn.Module = package().AutoModelForObjectDetection.from_config(config)
        return network

    def chain(self, network: nn.Module, input_size: tuple[int, int], *, has_weights: bool) -> Chain:
        """Return the detector's backbone.

        Raises:
            BackboneError: it is none with a stem and stages.
        """
        body: Any = network.model.backbone.model  # type: ignore[union-attr]
        if not hasattr(body, "embedder") or not hasattr(getattr(body, "encoder", None), "stages"):
            raise BackboneError(
                f"{self.name} has a {type(body).__name__} as backbone; looked for an embedder and stages, as in the "
                "library's ResNet and HGNetV2"
            )
        chain = cut(_Trunk(body).train(network.training), input_size)
        found = _found(network, [unit.name for unit in chain])
        if has_weights:
            state = network.state_dict()
            kept = {name: state[name] for name in state if not name.startswith((_BACKBONE, *_TWICE))}
            found = replace(found, weights=kept)
        return replace(chain, facts={**chain.facts, FACT: found})


class TransformersDetection(Source):
    """Folders, and Hugging Face's hub."""

    name, rank, is_open = "transformers_detection", 3, True
    about = (
        "RT-DETR v2 and D-FINE from a folder or by hub name; the chain is the backbone, and for the task detection "
        "candidates of the same kind and width start from its encoder and decoder"
    )

    def names(self) -> Sequence[str]:
        return ()

    def requirement(self) -> str:
        return "" if find_spec("transformers") else "pip install ftsearch[transformers]"

    def open(self, name: str) -> DetectorBackbone:
        folder = Path(os.path.expanduser(name))
        return DetectorBackbone(name, folder if is_there(folder / "config.json") else None)


class _Trunk(nn.Module):
    """A detector's backbone alone, one tensor after the other, with weights under the detector's names."""

    def __init__(self, body: Any) -> None:
        super().__init__()
        self.model: Any = nn.Module()
        self.model.backbone = nn.Module()
        self.model.backbone.model = nn.Module()
        self.model.backbone.model.embedder, self.model.backbone.model.encoder = body.embedder, body.encoder

    def forward(self, images: Tensor) -> Tensor:
        """Return the last map for images ``(N, 3, H, W)``."""
        body = self.model.backbone.model
        maps: Tensor = body.embedder(images)
        for stage in body.encoder.stages:
            maps = stage(maps)
        return maps


def _found(network: Any, units: Sequence[str]) -> PretrainedDetector:
    """Return how ``network`` is made, without weights."""
    config, body = network.config, network.model.backbone.model
    places = [body.stage_names.index(name) - 1 for name in body.out_features]
    stems = [f"{_BACKBONE}model.encoder.stages.{place}." for place in places]
    own = {field.name for field in fields(config)} - {field.name for field in fields(package().PreTrainedConfig)}
    names = [str(name) for _, name in sorted(config.id2label.items())]
    return PretrainedDetector(
        kind=_KINDS[config.model_type],
        taps=tuple([unit for unit in units if unit.startswith(stem)][-1] for stem in stems),
        finest=config.feat_strides[0],
        extra=0,
        width=config.encoder_hidden_dim,
        outputs=config.num_labels,
        classes=() if names[0] == "LABEL_0" else tuple(names),
        settings={name: value for name, value in config.to_dict().items() if name in own - {"backbone_config"}},
    )


source = TransformersDetection()
