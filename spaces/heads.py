"""Parts of tasks' heads: pooling of maps and tokens, and a small MLP."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from spaces.detector import PretrainedDetector
from spaces.errors import SurgeryError

MAP_POOLINGS = ("avg", "max", "avgmax", "gem")
TOKEN_POOLINGS = ("cls", "mean", "attention")
OWN_POOLING = "pretrained"
"""The network's own pool, a unit with weights of its own."""
TEXT_POOLINGS = ("cls", "mean", "attention", "max", "last")
"""Poolings of texts, whose padding is known: ``cls`` with a class token, ``last`` if no token sees later ones."""
LEARNT_POOLINGS = ("gem", "attention")
"""Poolings with parameters of their own."""
ACTIVATIONS: dict[str, Callable[[], nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU}


@dataclass(frozen=True, slots=True)
class Tap:
    """The output of one unit, which a head may ask for.

    Attributes:
        unit: index of the unit in the chain; ``name`` its module path.
        reduction: height of the network's input over the height of this output.
        shape: without the batch, as ``Features.shape``; ``channels_last`` likewise.
        patches: rows and columns of the patches that the last of its tokens represent; None for maps, and for tokens
            that are not a grid.
    """

    unit: int
    name: str
    reduction: int
    shape: tuple[int, ...]
    channels_last: bool = False
    patches: tuple[int, int] | None = None

    @property
    def channels(self) -> int:
        return self.shape[0] if len(self.shape) == 3 and not self.channels_last else self.shape[-1]

    @property
    def grid(self) -> tuple[int, int]:
        """Height and width of this output as a map.

        Raises:
            SurgeryError: its tokens are not a grid of square patches.
        """
        if len(self.shape) == 2:
            if self.patches is None:
                raise SurgeryError(f"the {self.shape[0]} tokens of {self.name} are not a grid of square patches")
            return self.patches
        return (self.shape[0], self.shape[1]) if self.channels_last else (self.shape[1], self.shape[2])


@dataclass(frozen=True, slots=True)
class Maps:
    """Outputs of several units for the same samples, in the order of the units; batches like a single tensor."""

    tensors: tuple[Tensor, ...]

    def __len__(self) -> int:
        return len(self.tensors[0])

    def __getitem__(self, piece: slice) -> Maps:
        """Return those of the samples in ``piece``."""
        return Maps(tuple(tensor[piece] for tensor in self.tensors))

    def __iter__(self) -> Iterator[Tensor]:
        return iter(self.tensors)

    @property
    def shape(self) -> torch.Size:
        return self.tensors[0].shape


@dataclass(frozen=True, slots=True)
class Features:
    """The features that a head is attached to.

    A head that needs more than the last unit's output has an attribute ``taps``, the indices of units (``Tap.unit``)
    in ascending order; it is then called with a tuple of their outputs instead of one tensor.

    Attributes:
        shape: ``(C, H, W)``, ``(H, W, C)`` when ``channels_last``, ``(tokens, C)`` or ``(C,)``; no batch.
        class_token: index of the class token among the tokens; None if there is none.
        registers: tokens behind the class token that represent neither the image nor a patch.
        masked: whether the last channel is a mask: 1 for real tokens and 0 for padding.
        causal: whether a token has seen only earlier ones, so that the last one represents the whole text.
        taps: the last unit's output at each reduction, the finest first; the last of them has the shape ``shape``.
        input_size: height and width of the network's input; None if unknown.
        detector: the pretrained detector whose backbone the chain is; None for other chains.
        detector_taps: the units that feed its own pyramid; empty if one of them was removed.
    """

    shape: tuple[int, ...]
    channels_last: bool = False
    class_token: int | None = None
    registers: int = 0
    masked: bool = False
    causal: bool = False
    taps: tuple[Tap, ...] = ()
    input_size: tuple[int, int] | None = None
    detector: PretrainedDetector | None = None
    detector_taps: tuple[Tap, ...] = ()

    @property
    def channels(self) -> int:
        """Length of one feature vector; the mask does not count."""
        if self.masked:
            return self.shape[-1] - 1
        if len(self.shape) == 3 and not self.channels_last:
            return self.shape[0]
        return self.shape[-1]

    @property
    def poolings(self) -> tuple[str, ...]:
        """Ways to pool these features into one vector; empty if they are one already."""
        if len(self.shape) == 3:
            return MAP_POOLINGS
        if len(self.shape) == 2 and self.masked:
            first = ("last",) if self.causal else ("cls",) if self.class_token is not None else ()
            return (*first, "mean", "attention", "max")
        if len(self.shape) == 2:
            return TOKEN_POOLINGS if self.class_token is not None else TOKEN_POOLINGS[1:]
        return ()


@dataclass(frozen=True, slots=True)
class HeadChoice:
    """A head: pooling, then hidden layers of ``widths`` neurons, then the output layer.

    Attributes:
        pooling: one of ``Features.poolings``; the first of them if it does not apply.
        norm: whether the pooled vector is layer-normalised.
        dropout: share of inputs zeroed before every linear layer.
    """

    pooling: str = "avg"
    widths: tuple[int, ...] = ()
    norm: bool = False
    activation: str = "relu"
    dropout: float = 0.0


class MapLayout(nn.Module):
    """Arranges a unit's output as maps ``(N, C, h, w)``: maps, maps with channels last, or tokens of patches."""

    def __init__(self, tap: Tap) -> None:
        """Derive the layout from ``tap``.

        Raises:
            SurgeryError: its tokens are not a grid of square patches.
        """
        super().__init__()
        self.rows, self.columns = tap.grid
        self.is_tokens, self.channels_last = len(tap.shape) == 2, tap.channels_last

    def forward(self, outputs: Tensor) -> Tensor:
        if self.is_tokens:
            patches = outputs[:, outputs.shape[1] - self.rows * self.columns :]
            return patches.transpose(1, 2).reshape(patches.shape[0], -1, self.rows, self.columns)
        return outputs.permute(0, 3, 1, 2) if self.channels_last else outputs


class MapPool(nn.Module):
    """Pools maps ``(N, C, H, W)`` or ``(N, H, W, C)`` to ``(N, C)``, or ``(N, 2 C)`` for ``avgmax``.

    ``gem`` is the generalised mean with a learnt exponent (https://arxiv.org/abs/1711.02512).
    """

    def __init__(self, kind: str, *, channels_last: bool) -> None:
        super().__init__()
        self.kind = kind
        self.axes = (1, 2) if channels_last else (2, 3)
        self.power = nn.Parameter(torch.tensor(3.0)) if kind == "gem" else None

    def forward(self, maps: Tensor) -> Tensor:
        if self.power is not None:
            # In float32: a cube and its root lose too much in half precision.
            raised = maps.float().clamp(min=1e-6).pow(self.power).mean(self.axes)
            return raised.pow(1.0 / self.power)
        if self.kind == "avg":
            return maps.mean(self.axes)
        if self.kind == "max":
            return maps.amax(self.axes)
        return torch.cat([maps.mean(self.axes), maps.amax(self.axes)], dim=1)


class TokenPool(nn.Module):
    """Pools tokens ``(N, T, C)`` to ``(N, C)``: class token, last token, mean, maximum, or a learnt weighted mean.

    With ``masked`` the tokens are ``(N, T, C + 1)``; the last channel is 1 for real tokens, and the others are
    ignored, as are registers.
    """

    def __init__(self, kind: str, features: Features) -> None:
        super().__init__()
        self.kind = kind
        self.class_token = features.class_token
        self.registers = features.registers
        self.masked = features.masked
        self.score = nn.Linear(features.channels, 1) if kind == "attention" else None

    def forward(self, tokens: Tensor) -> Tensor:
        if self.registers:
            first = 0 if self.class_token is None else self.class_token + 1
            tokens = torch.cat([tokens[:, :first], tokens[:, first + self.registers :]], dim=1)
        real = tokens[..., -1:] if self.masked else None
        tokens = tokens[..., :-1] if self.masked else tokens
        if self.score is not None:
            scores: Tensor = self.score(tokens)
            if real is not None:
                scores = scores.masked_fill(real == 0, torch.finfo(scores.dtype).min)
            return (scores.softmax(dim=1) * tokens).sum(dim=1)
        if self.kind == "cls":
            return tokens[:, self.class_token or 0]
        if self.kind == "last":
            last = tokens.shape[1] - 1 if real is None else (real[..., 0] > 0).sum(dim=1).clamp(min=1) - 1
            rows = torch.arange(tokens.shape[0], device=tokens.device)  # not `len`, which binds a graph to its batch
            return tokens[rows, last]
        if self.kind == "max":
            silent = tokens if real is None else tokens.masked_fill(real == 0, torch.finfo(tokens.dtype).min)
            return silent.amax(dim=1)
        if real is None:
            return tokens.mean(dim=1)
        # In float32: the sum over a long text may exceed half precision.
        total = (tokens.float() * real).sum(dim=1) / real.float().sum(dim=1).clamp(min=1)
        return total.to(tokens.dtype)


def pool(features: Features, kind: str) -> tuple[nn.Module, int]:
    """Return a module that turns the features into one vector per sample, and that vector's length.

    Raises:
        SurgeryError: features of a shape that no head can be attached to.
    """
    if len(features.shape) == 1:
        return nn.Identity(), features.channels
    if len(features.shape) not in (2, 3):
        raise SurgeryError(f"a head needs features (C, H, W), (tokens, C) or (C,), got shape {features.shape}")
    kind = kind if kind in features.poolings else features.poolings[0]
    if len(features.shape) == 3:
        width = features.channels * (2 if kind == "avgmax" else 1)
        return MapPool(kind, channels_last=features.channels_last), width
    return TokenPool(kind, features), features.channels


def mlp(width: int, outputs: int, choice: HeadChoice) -> nn.Sequential:
    """Return ``width`` -> hidden layers -> ``outputs``; no activation follows the output layer."""
    layers: list[nn.Module] = [nn.LayerNorm(width)] if choice.norm else []
    for hidden in choice.widths:
        layers += [*_dropout(choice.dropout), nn.Linear(width, hidden), ACTIVATIONS[choice.activation]()]
        width = hidden
    return nn.Sequential(*layers, *_dropout(choice.dropout), nn.Linear(width, outputs))


def vector_head(features: Features, outputs: int, choice: HeadChoice) -> nn.Sequential:
    """Return pooling and MLP: features -> ``(N, outputs)``."""
    pooling, width = pool(features, choice.pooling)
    return nn.Sequential(pooling, *mlp(width, outputs, choice))


def last_layer(head: nn.Module) -> tuple[nn.Sequential, nn.Linear] | None:
    """Return the part of ``head`` before its last linear layer, and that layer.

    None for a head that is not a sequence of layers, or in which learning layers follow it.
    """
    if not isinstance(head, nn.Sequential):
        return None
    layers = list(head)
    for index in reversed(range(len(layers))):
        layer = layers[index]
        if isinstance(layer, nn.Linear):
            return nn.Sequential(*layers[:index]), layer
        if any(True for _ in layer.parameters()):
            return None
    return None


def _dropout(share: float) -> Sequence[nn.Module]:
    return (nn.Dropout(share),) if share > 0 else ()
