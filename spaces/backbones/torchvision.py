"""The 80 classification networks of torchvision."""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from functools import cached_property

import torchvision
from torch import nn
from torchvision import models

from spaces.backbones._base import Backbone, Preprocessing, Source, Weights
from spaces.errors import ProbeError

_LICENSE = "BSD-3-Clause"
"""torchvision's own; it says so of weights, too, unless their ``meta`` names another (SWAG's are not for business)."""
_MAXVIT = 224  # windows of 7x7 must tile the image at 1/4 to 1/32 of its size, as many across as down


class TorchvisionBackbone(Backbone):
    """One network of torchvision, under its name there."""

    def __init__(self, model: str) -> None:
        self._model = model
        self._builder = models.get_model_builder(model)
        self.name = f"torchvision:{model}"
        enum = models.get_model_weights(model)
        self._enum = [enum.DEFAULT, *(member for member in enum if member is not enum.DEFAULT)]
        meta = self._enum[0].meta
        self.parameters = meta.get("num_params")
        self.gflops = meta.get("_ops")
        self.label = _label(model)

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        return tuple(_weights(member) for member in self._enum)

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        accepted = inspect.signature(models.GoogLeNet if self._model == "googlenet" else models.Inception3).parameters
        options: dict[str, object] = {"weights": None}
        if self._model in ("googlenet", "inception_v3"):
            # Auxiliary classifiers only serve training from scratch; their own initialisation takes half a minute.
            options |= {name: False for name in ("aux_logits", "init_weights") if name in accepted}
            options["transform_input"] = True  # these weights were trained with another normalisation
        if self._model.startswith("maxvit"):
            if input_size[0] != input_size[1] or input_size[0] % _MAXVIT:
                size = "x".join(map(str, input_size))
                raise ProbeError(
                    f"input size {size} does not fit {self.name}: its sides must be equal, "
                    f"and multiples of {_MAXVIT} pixels"
                )
            options["input_size"] = input_size  # fixes how its windows and grids divide the image
        network: nn.Module = self._builder(**options)
        return network


class Torchvision(Source):
    """torchvision's own registry."""

    name, rank = "torchvision", 0

    def names(self) -> Sequence[str]:
        return tuple(models.list_models(module=torchvision.models))

    def open(self, name: str) -> TorchvisionBackbone:
        return TorchvisionBackbone(name)


def _weights(member: models.WeightsEnum) -> Weights:
    transform = member.transforms()
    crop = transform.crop_size[0]
    resize = (transform.resize_size or transform.crop_size)[0]  # some models take images unnormalised
    accuracy = member.meta.get("_metrics", {}).get("ImageNet-1K", {}).get("acc@1")
    return Weights(
        name=member.name,
        file_name=member.url.rsplit("/", 1)[1],
        url=member.url,
        preprocessing=Preprocessing(
            resize, crop, tuple(transform.mean), tuple(transform.std), transform.interpolation.value
        ),
        accuracy=accuracy,
        classes=tuple(member.meta.get("categories") or ()),
        license=member.meta.get("license", _LICENSE),
    )


def _label(model: str) -> str:
    """Return the network's name as in its paper, as far as the name of its class shows."""
    documented = (models.get_model_builder(model).__doc__ or "").strip().split(" ")
    first = documented[0] if documented and documented[0][:1].isupper() else ""
    return first if first not in ("", "Constructs", "Constructor") else model


source = Torchvision()
