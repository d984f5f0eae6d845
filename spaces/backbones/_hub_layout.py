"""Networks in the layout of Hugging Face's hub: ``config.json`` and weights, in a folder or in a repository."""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import import_module
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from spaces.backbones import _weights as files
from spaces.backbones._base import Backbone, Weights
from spaces.backbones._state_dicts import check_numbers
from spaces.errors import BackboneError, WeightsError, first_line

FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")
INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
_FOREIGN = ("architectures", "torch_dtype", "auto_map", "attn_implementation", "quantization_config", "kernel_config")
"""Entries of a ``config.json`` that are ignored: they lead to foreign code, or to other numbers."""


class HubBackbone(Backbone):
    """A network described by a ``config.json``, built and loaded by ``transformers``."""

    gflops = None

    def __init__(self, source: str, name: str, folder: Path | None, config: dict[str, Any]) -> None:
        """Describe the network in ``folder``; without one its files come from the hub."""
        self._repository = "" if folder else name
        self._folder, self._config = folder, config
        self.name, self.label = f"{source}:{name}", name.rstrip("/").rpartition("/")[2]

    @cached_property
    def parameters(self) -> int | None:  # type: ignore[override]  # read once asked for
        """The number of values in the weights file, all heads included; None if it is not here."""
        path = self.weights[0].path if self.weights else ""
        return files.count(Path(path)) if path.endswith(".safetensors") else None

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        image = self.preprocessing
        if self._folder is None:
            return (Weights("pretrained", "", "", image, hub_id=self._repository, hub_file="pytorch_model.bin"),)
        path = next((self._folder / name for name in FILES if (self._folder / name).is_file()), None)
        return (Weights("pretrained", path.name, "", image, path=str(path)),) if path else ()

    def described(self) -> Any:
        """Return the library's description of the network."""
        options = {
            name: value for name, value in self._config.items() if name not in _FOREIGN and not name.startswith("_")
        }
        return package().AutoConfig.for_model(**options)

    def options(self, config: Any) -> dict[str, Any]:
        """Return further arguments of the network's constructor."""
        return {}

    def load(self, network: nn.Module, path: Path) -> None:
        """Load weights into ``network``: the model's own through its library, which knows their older forms.

        Raises:
            WeightsError: damaged, or of another network.
        """
        if path not in {weights.local() for weights in self.weights}:
            super().load(network, path)
            return
        config: Any = network.config
        kind: Any = type(network)
        try:
            with quiet():
                loaded, notes = kind.from_pretrained(
                    path.parent,
                    config=config,
                    output_loading_info=True,
                    local_files_only=True,
                    **self.options(config),
                )
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise WeightsError(f"cannot read weights from {path}: {first_line(error)}") from error
        # Norms that were frozen, as in most detectors, have counted no batches.
        if missing := sorted(name for name in notes["missing_keys"] if not name.endswith("num_batches_tracked")):
            raise WeightsError(
                f"the weights in {path} are of another network than {type(network).__name__}: "
                f"{len(missing)} missing ({', '.join(missing[:3])})"
            )
        state = dict(self.adapt(network, loaded.state_dict()))
        check_numbers(state, str(path))
        network.load_state_dict(state)

    def classifier(self, network: nn.Module) -> str:
        """Return nothing: all layers of these networks must fit."""
        return ""

    def processor(self) -> dict[str, Any]:
        """Return the model's ``preprocessor_config.json``; empty if it has none."""
        name = "preprocessor_config.json"
        if self._folder is not None:
            return read_json(self._folder / name)
        try:
            return read_json(files.hub_local(self._repository, name) or files.hub_download(self._repository, name))
        except WeightsError:  # not every repository has one
            return {}


def config_of(name: str, folder: Path | None, carried: Callable[[], Collection[str]]) -> dict[str, Any]:
    """Return the content of a model's ``config.json``.

    Args:
        carried: returns the names of the models that installed packages carry, for the message.

    Raises:
        BackboneError: there is no such model.
    """
    if folder is not None:
        config = read_json(folder / "config.json")
        if not config:
            raise BackboneError(f"{folder / 'config.json'} is not a description of a model; expected a JSON mapping")
        return config
    if "/" in name and is_there(Path(os.path.expanduser(name))):
        raise BackboneError(f"{name} has no config.json; name a folder as `save_pretrained` writes it")
    try:
        return read_json(files.hub_local(name, "config.json") or files.hub_download(name, "config.json"))
    except WeightsError as error:
        known = ", ".join(sorted(carried())) or "none"
        raise BackboneError(
            f"no model {name!r}: it is not a folder with a config.json, is in no installed package (known: {known}) "
            "and could not be downloaded from Hugging Face's hub"
        ) from error


def is_there(path: Path) -> bool:
    """Return whether the file or folder exists; False for names that no file system accepts."""
    try:
        return path.exists()
    except OSError:
        return False


def read_json(path: Path) -> dict[str, Any]:
    """Return the mapping in a file; empty if there is none."""
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


@cache
def package() -> Any:
    """Return transformers, imported late because that is slow."""
    return import_module("transformers")


@contextmanager
def quiet() -> Iterator[None]:
    """Keep the library's progress bars and notes off the screen; whatever matters is an error."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, package().utils.logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    package().utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            package().utils.logging.enable_progress_bar()
