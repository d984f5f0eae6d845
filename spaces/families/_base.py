"""The interface of families: the little that the generic cut cannot know about some networks."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar, Literal

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from spaces.chains.chain import Chain, cut
from spaces.chains.tracing import Opaque
from spaces.errors import ProbeError

Grid = tuple[int, int]
Layout = Literal["tokens", "map", "map_last"]


@dataclass(frozen=True, slots=True)
class Positions:
    """A learnt position embedding of a chain, one vector for each patch of a grid.

    Attributes:
        key: path of the parameter inside its unit's module (and in the original network).
        prefix: tokens before the patches that have positions too (class token, registers).
        layout: ``tokens`` for ``(1, prefix + h * w, C)``, ``map`` for ``(1, C, h, w)`` and ``map_last`` for
            ``(1, h, w, C)``; without the leading 1 if the network has none.
        grid: its current number of patches along height and width.
    """

    key: str
    prefix: int
    layout: Layout = "tokens"
    grid: Grid = (1, 1)


class Family(ABC):
    """Networks of one kind. Each file of this package ends with ``family = ...()``.

    Class attributes:
        name: the file's name.
    """

    name: ClassVar[str]

    @abstractmethod
    def matches(self, network: nn.Module) -> bool:
        """Return whether ``network`` is of this kind."""

    def resize(self, network: nn.Module, input_size: tuple[int, int]) -> None:
        """Make ``network`` accept inputs of ``input_size`` (height, width), in place.

        Raises:
            ProbeError: the size cannot work for this kind; it says which sizes do.
        """
        del network, input_size  # most networks take any size unchanged

    def opaque(self, network: nn.Module) -> Opaque:
        """Return what must not be traced into in ``network``; nothing for most."""
        del network
        return Opaque()

    def chain(self, network: nn.Module, input_size: tuple[int, int]) -> Chain:
        """Return ``network`` as a chain for inputs of ``input_size``, cut wherever its graph allows.

        Raises:
            ChainError: it cannot be cut.
        """
        return cut(network, input_size, self.facts(network), self.opaque(network))

    def adapt(self, network: nn.Module, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """Return pretrained weights that fit ``network``, with position embeddings resampled to its grid."""
        adapted = dict(state)
        for positions in self.positions(network):
            own, embedding = network.get_parameter(positions.key), adapted.get(positions.key)
            if embedding is not None and embedding.ndim == own.ndim and embedding.shape != own.shape:
                adapted[positions.key] = resample_positions(
                    embedding, positions.prefix, embedding_grid(embedding, positions), positions.grid, positions.layout
                )
        return adapted

    def positions(self, network: nn.Module) -> tuple[Positions, ...]:
        """Return the network's learnt position embeddings; none for most."""
        return ()

    def facts(self, network: nn.Module) -> Mapping[str, object]:
        """Return facts that decisions use, by name.

        ``channels_last`` (features are ``(N, H, W, C)``), ``class_token`` (its index among the tokens),
        ``prefix_tokens`` (how many precede those of the patches; by default only a class token does), ``rows_from``
        (the least distance of patches from which tokens come row by row), ``pool`` (the name of the last unit, if that
        is a pool with weights), ``positions`` (a tuple of ``Positions``), ``masked`` (the last channel between units
        distinguishes tokens from padding), ``skippable`` (names of units that may be left out although they are not
        residual), ``shared`` (units hold the same parameters).
        """
        return {"positions": positions} if (positions := self.positions(network)) else {}


def embedding_grid(embedding: Tensor, positions: Positions) -> Grid:
    """Return the grid of ``embedding``; a list of tokens is taken to be a square of patches.

    Raises:
        ProbeError: the tokens do not form a square.
    """
    if positions.layout == "map":
        return (int(embedding.shape[-2]), int(embedding.shape[-1]))
    if positions.layout == "map_last":
        return (int(embedding.shape[-3]), int(embedding.shape[-2]))
    places = int(embedding.shape[-2]) - positions.prefix
    side = round(max(places, 0) ** 0.5)
    if places < 1 or side * side != places:
        raise ProbeError(
            f"the position embedding {positions.key} has {places} places behind {positions.prefix} others; "
            "expected a square number of them"
        )
    return (side, side)


def resample_positions(embedding: Tensor, prefix: int, old: Grid, new: Grid, layout: Layout = "tokens") -> Tensor:
    """Return a position embedding for the grid ``new`` (rows, columns of patches), interpolated bicubically.

    As ViT's authors do (https://arxiv.org/abs/2010.11929, section 3.2). The leading ``prefix`` positions
    (class token, registers) are kept. Layouts are those of ``Positions``; the number of dimensions, the data type
    and the device stay.

    Raises:
        ProbeError: ``embedding`` does not have the grid ``old``.
    """
    prefix = prefix if layout == "tokens" else 0
    flat = embedding if layout == "map" else embedding.movedim(-1, -2 if layout == "tokens" else -3)
    kept, places = (flat[..., :prefix], flat[..., prefix:]) if layout == "tokens" else (None, flat)
    expected = (old[0] * old[1],) if layout == "tokens" else old
    if tuple(places.shape[-len(expected) :]) != expected:
        raise ProbeError(
            f"a position embedding of shape {tuple(embedding.shape)} with {prefix} places in front is not laid out "
            f"for {old[0]}x{old[1]} patches"
        )
    if old == new:
        return embedding.clone()
    channels = int(places.shape[-1 - len(expected)])
    image = places.reshape(1, channels, *old).float()
    shrinks = new[0] < old[0] or new[1] < old[1]
    image = F.interpolate(image, size=new, mode="bicubic", align_corners=False, antialias=shrinks)
    image = image.to(embedding.dtype)
    lead = places.shape[: -1 - len(expected)]
    if kept is not None:
        joined = torch.cat([kept, image.reshape(*lead, channels, new[0] * new[1])], dim=-1)
        return joined.movedim(-2, -1).contiguous()
    shaped = image.reshape(*lead, channels, *new)
    return shaped if layout == "map" else shaped.movedim(-3, -1).contiguous()
