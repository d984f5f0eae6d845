"""The interface of sources of pretrained networks."""

from __future__ import annotations

import os
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.overrides import TorchFunctionMode

from spaces.backbones import _weights as files
from spaces.chains.chain import PRETRAINED_SIDE, Chain, cut
from spaces.errors import ProbeError, WeightsError
from spaces.families import family_of

NO_WEIGHTS = "none"
"""Stands for the name of weights: random initialisation."""


@dataclass(frozen=True, slots=True)
class Preprocessing:
    """The preprocessing that pretrained weights expect.

    Attributes:
        resize: the shorter side is scaled to this many pixels if the crop is ``crop``.
        crop: side of the square that is cut from the centre, in pixels.
        mean: subtracted from each channel after scaling to 0..1; ``std`` what it is divided by.
        interpolation: ``bilinear`` or ``bicubic``.
    """

    resize: int = 256
    crop: int = 224
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    std: tuple[float, float, float] = (0.229, 0.224, 0.225)
    interpolation: str = "bilinear"

    def resize_for(self, side: int) -> int:
        """Return the length to scale the shorter side to for an input of ``side`` pixels, in the same proportion."""
        return max(round(side * self.resize / self.crop), side)


@dataclass(frozen=True, slots=True)
class Weights:
    """One set of pretrained weights.

    Attributes:
        url: of the download; empty if only Hugging Face's hub has it.
        accuracy: top-1 on ImageNet-1k in percent; None if not published.
        box_map: COCO's mean average precision of boxes in percent, for a detector's weights.
        path: of the file, if known beforehand.
        hub_id: repository on Hugging Face's hub that has the file under ``hub_file``; empty without one.
        license: of the publication, an SPDX name or a page; empty if the publisher names none.
    """

    name: str
    file_name: str
    url: str
    preprocessing: Preprocessing
    accuracy: float | None = None
    classes: Sequence[str] = field(default=(), repr=False)
    hub_id: str = ""
    hub_file: str = ""
    path: str = ""
    license: str = ""
    box_map: float | None = None

    @property
    def origin(self) -> str:
        """Their origin as shown to users: an address, a repository of the hub, or a path."""
        return f"https://huggingface.co/{self.hub_id}" if self.hub_id else self.url or self.path

    @property
    def is_here(self) -> bool:
        """Whether this machine has the file, whose content is not read."""
        return self._where() is not None

    def local(self) -> Path | None:
        """Return the file's verified path if this machine has it.

        Raises:
            WeightsError: it is damaged.
        """
        path = self._where()
        return files.verified(path) if path is not None else None

    def _where(self) -> Path | None:
        if self.path:
            return Path(self.path)
        path = files.locate(self.file_name) if self.file_name else None
        return path or (files.hub_local(self.hub_id, self.hub_file) if self.hub_id else None)

    def fetch(self) -> Path:
        """Return the file's path, downloaded if need be.

        Raises:
            WeightsError: it is not available anywhere, or damaged.
        """
        if (here := self.local()) is not None:
            return here
        if self.hub_id:
            return files.hub_download(self.hub_id, self.hub_file, self.file_name, self.url or None)
        return files.find(self.file_name, self.url or None)


@dataclass(frozen=True, slots=True)
class Pretrained:
    """A backbone with its weights in place.

    Attributes:
        weights: their name, ``IMAGENET1K_V1``, a path, or ``none``.
        checksum: SHA-256 of the weights file; empty without one.
        chain: at the requested input size.
    """

    backbone: str
    label: str
    weights: str
    checksum: str
    preprocessing: Preprocessing
    chain: Chain


class Backbone(ABC):
    """A pretrained network: architecture, weights, and the preprocessing these weights expect.

    Attributes:
        name: with its source, ``torchvision:mobilenet_v2``.
        label: its usual spelling, ``MobileNetV2``.
        weights: the available ones, the recommended first.
        parameters: number of the network's; None if unknown before it is built.
        gflops: multiply-adds of one forward pass at the usual size, in billions; None if not published.
        reads: its kind of input, ``images`` or ``tokens`` of a text.
    """

    name: str
    label: str
    weights: Sequence[Weights]
    parameters: int | None
    gflops: float | None

    @abstractmethod
    def build(self, input_size: tuple[int, int]) -> nn.Module:
        """Return the architecture with random weights."""

    reads: Literal["images", "tokens"] = "images"

    @property
    def usual_size(self) -> tuple[int, int]:
        """Height and width of the images that the recommended weights expect, or ``(1, tokens)`` for a text."""
        return (self.preprocessing.crop, self.preprocessing.crop)

    @property
    def preprocessing(self) -> Preprocessing:
        """The preprocessing that the recommended weights expect."""
        return self.weights[0].preprocessing if self.weights else Preprocessing()

    def describe(self, input_size: tuple[int, int]) -> Chain:
        """Return the chain on the meta device: facts can be read, nothing is allocated for weights.

        Raises:
            ProbeError: the network does not accept the size.
        """
        with weightless():
            network = self._sized(self.build(input_size), input_size)
        chain = self.chain(network.to("meta"), input_size, has_weights=False)
        return _trained_at(chain, self.preprocessing) if self.weights else chain

    def outline(self, input_size: tuple[int, int], weights: str = NO_WEIGHTS) -> Pretrained:
        """Return what ``pretrained`` does, on the meta device as ``describe`` has it.

        Raises:
            ProbeError: the network does not accept the size.
        """
        return Pretrained(self.name, self.label, weights, "", self.preprocessing, self.describe(input_size))

    def pretrained(self, wanted: str, input_size: tuple[int, int], *, seed: int = 0) -> Pretrained:
        """Return the chain with weights in place: ``default``, a name of ``weights``, a file's path, or ``none``.

        ``default`` takes the best of ``weights`` that this machine has, and downloads the first if it has none. Without
        weights, ``seed`` draws the numbers.

        Raises:
            WeightsError: no such weights, not found, damaged, or of another network.
            ProbeError: the network does not accept the size.
        """
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(seed)
            network = self._sized(self.build(input_size), input_size)
        if wanted == NO_WEIGHTS:
            return self._finish(network, input_size, NO_WEIGHTS, "", self.preprocessing)
        path, name, preprocessing = self._file(wanted)
        self.load(network, path)
        return self._finish(network, input_size, name, files.checksum(path), preprocessing)

    def load(self, network: nn.Module, path: Path) -> None:
        """Put the weights of a file into ``network``, in place.

        Raises:
            WeightsError: damaged, or of another network.
        """
        files.fit(network, self.adapt(network, files.load(path)), str(path), self.classifier(network))

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return a file's weights as ``network`` takes them: with position embeddings resampled to its grid."""
        family = family_of(network)
        return family.adapt(network, state) if family else state

    def classifier(self, network: nn.Module) -> str:
        """Return the path of the final layer, whose number of classes may differ from the weights'."""
        return _classifier_path(network)

    def chain(self, network: nn.Module, input_size: tuple[int, int], *, has_weights: bool) -> Chain:
        """Return ``network``, made by ``build``, as a chain; ``has_weights`` says whether its weights are trained."""
        return _cut(network, input_size)

    def _file(self, wanted: str) -> tuple[Path, str, Preprocessing]:
        named = {weights.name: weights for weights in self.weights}
        if wanted == "default":
            if not self.weights:
                raise WeightsError(f"{self.name} has no published weights; name a file or use `weights: none`")
            chosen = next((weights for weights in self.weights if weights.is_here), self.weights[0])
            return chosen.fetch(), chosen.name, chosen.preprocessing
        if wanted in named:
            chosen = named[wanted]
            return chosen.fetch(), chosen.name, chosen.preprocessing
        path = Path(os.path.expanduser(wanted))
        if not path.is_file():
            known = ", ".join(("default", NO_WEIGHTS, *named))
            raise WeightsError(
                f"weights must be one of {known}, or the path of a file; got {wanted!r}, and no such file"
            )
        return files.verified(path), str(path), self.preprocessing

    def _finish(
        self, network: nn.Module, input_size: tuple[int, int], name: str, checksum: str, preprocessing: Preprocessing
    ) -> Pretrained:
        has_weights = name != NO_WEIGHTS
        chain = self.chain(network.eval(), input_size, has_weights=has_weights)
        chain = _trained_at(chain, preprocessing) if has_weights else chain
        return Pretrained(self.name, self.label, name, checksum, preprocessing, chain)

    @staticmethod
    def _sized(network: nn.Module, input_size: tuple[int, int]) -> nn.Module:
        family = family_of(network)
        if family is not None:
            family.resize(network, input_size)
        return network


class Source(ABC):
    """A source of backbones. Each file of this package ends with ``source = ...()``.

    Class attributes:
        name: the file's name and the part of a backbone's name before the colon.
        rank: sources of a lower rank are asked first for a name without its source.
        is_open: whether there may be more networks than it can list, such as those on a hub; ``open`` finds out.
        about: one readable line on its networks, if they are not obvious.
        addresses: other words before a colon that lead to this source; ``open`` is given the whole name.
    """

    name: ClassVar[str]
    about: ClassVar[str] = ""
    rank: ClassVar[int] = 1
    is_open: ClassVar[bool] = False
    addresses: ClassVar[tuple[str, ...]] = ()

    def requirement(self) -> str:
        """Return the command that installs what this source needs; empty when it is there."""
        return ""

    def __contains__(self, name: str) -> bool:
        """Return whether ``open(name)`` returns a backbone; a source may know more names than it lists."""
        return name in self.names()

    @abstractmethod
    def names(self) -> Sequence[str]:
        """Return every network of this source, without the source's name."""

    @abstractmethod
    def open(self, name: str) -> Backbone:
        """Return the backbone called ``name``, one of ``names()``; loads no weights."""


class weightless(TorchFunctionMode):  # noqa: N801  # used as a function
    """Puts only uninitialised tensors (weights) on the meta device, so that constructors can still compute."""

    def __torch_function__(self, func, types, args=(), kwargs=None):  # type: ignore[no-untyped-def]
        kwargs = dict(kwargs or {})
        if func is torch.empty:
            kwargs["device"] = "meta"
        return func(*args, **kwargs)


def _trained_at(chain: Chain, preprocessing: Preprocessing) -> Chain:
    return (
        replace(chain, facts={**chain.facts, PRETRAINED_SIDE: preprocessing.crop}) if chain.kind == "images" else chain
    )


def _cut(network: nn.Module, input_size: tuple[int, int]) -> Chain:
    family = family_of(network)
    return family.chain(network, input_size) if family else cut(network, input_size)


def _classifier_path(network: nn.Module) -> str:
    """Return the path of the last linear layer or convolution, whose classes may differ from the weights'."""
    paths: list[str] = [path for path, module in network.named_modules() if isinstance(module, nn.Linear | nn.Conv2d)]
    if not paths:
        raise ProbeError(f"{type(network).__name__} has no linear layer and no convolution")
    return paths[-1]
