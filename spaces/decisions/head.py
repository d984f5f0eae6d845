"""What is put on top: pooling, hidden layers and their widths."""

from __future__ import annotations

import math
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains import probe
from spaces.chains.chain import POOL, Chain
from spaces.chains.patches import patch_grid_of, prefix_tokens
from spaces.decisions._base import Decision, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_number, check_range, read_choice, read_fields, read_number
from spaces.decisions._prior import mostly
from spaces.decisions._stages import mapped
from spaces.detector import pretrained_detector
from spaces.errors import CandidateError, SurgeryError
from spaces.heads import (
    ACTIVATIONS,
    MAP_POOLINGS,
    OWN_POOLING,
    TEXT_POOLINGS,
    TOKEN_POOLINGS,
    Features,
    HeadChoice,
    Tap,
)

_MOST_HIDDEN = 3
_PLAIN = HeadChoice()
_USUAL = ("avg", "max", "avgmax", "cls", "mean")
_POOLINGS = tuple(dict.fromkeys((OWN_POOLING, *MAP_POOLINGS, *TOKEN_POOLINGS, *TEXT_POOLINGS)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Heads that may be tried.

    Attributes:
        hidden: most hidden layers; ``widths`` numbers of neurons of each.
        pooling: of feature maps (``avg``, ``max``, ``avgmax``, ``gem``), of tokens (``cls``, ``mean``,
            ``attention``) or of texts (``max`` too; ``cls`` is the last token of a decoder, also called ``last``);
            ``pretrained`` is the network's own pool, if that has weights. Those that do not fit the backbone are
            ignored. By default a usual few, and ``pretrained``.
    """

    hidden: int = 2
    widths: tuple[int, ...] = (64, 128, 256, 512)
    pooling: tuple[str, ...] = _USUAL
    norm: tuple[bool, ...] = (False, True)
    activation: tuple[str, ...] = ("relu",)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_number("head.hidden", self.hidden, 0, _MOST_HIDDEN)
        check_choices("head.widths", self.widths)
        check_range("head.widths", min(self.widths), None, least=1)
        check_choices("head.pooling", self.pooling, _POOLINGS)
        check_choices("head.norm", self.norm)
        check_choices("head.activation", self.activation, tuple(ACTIVATIONS))


@dataclass(frozen=True, slots=True)
class Choices:
    """The range, with the poolings that these features allow (none if they are a vector), and their parameter."""

    within: Range
    pooling: tuple[str, ...]
    parameter: str


class Head(Decision[HeadChoice]):
    """Pooling, 0 to 3 hidden layers, their widths, norm and activation. Dropout is a decision of its own."""

    name, stage, options = "head", Stage.HEAD, Range

    def choices(self, chain: Chain, within: Range) -> Choices:
        return _choices(chain, within)

    def narrow(self, choices: Choices, chain: Chain) -> Choices:
        """Return the choices for the remaining features: without their tail, some networks end in another kind."""
        return _choices(chain, choices.within)

    def baseline(self, chain: Chain) -> HeadChoice:
        return HeadChoice(pooling=next(iter(_poolings(chain)), MAP_POOLINGS[0]))

    def extremes(self, choices: Choices, chain: Chain) -> tuple[HeadChoice, HeadChoice]:
        within = choices.within
        poolings = choices.pooling or MAP_POOLINGS[:1]
        widest = "avgmax" if "avgmax" in poolings else poolings[0]
        return HeadChoice(poolings[0]), HeadChoice(widest, (max(within.widths),) * within.hidden, within.norm[-1])

    def sample(self, suggest: Suggest, choices: Choices) -> HeadChoice:
        within = choices.within
        hidden = suggest.integer("head.hidden", 0, within.hidden, prior=mostly(0, 0.7))
        widths = tuple(int(suggest.choice(f"head.width{layer}", within.widths)) for layer in range(1, hidden + 1))
        return HeadChoice(
            str(suggest.choice(choices.parameter, choices.pooling, prior=mostly(choices.pooling[0], 0.7)))
            if choices.pooling
            else MAP_POOLINGS[0],
            widths,
            bool(suggest.choice("head.norm", within.norm, prior=mostly(False, 0.6))),
            str(suggest.choice("head.activation", within.activation)) if hidden else _PLAIN.activation,
        )

    def params(self, value: HeadChoice, choices: Choices) -> Mapping[str, Scalar] | None:
        within = choices.within
        fits = (
            value.pooling in (choices.pooling or MAP_POOLINGS[:1])
            and len(value.widths) <= within.hidden
            and all(width in within.widths for width in value.widths)
            and value.norm in within.norm
            and (not value.widths or value.activation in within.activation)
        )
        if not fits:
            return None
        params: dict[str, Scalar] = {
            "head.hidden": len(value.widths),
            "head.norm": value.norm,
        }
        if choices.pooling:
            params[choices.parameter] = value.pooling
        params |= {f"head.width{layer}": width for layer, width in enumerate(value.widths, 1)}
        return params | ({"head.activation": value.activation} if value.widths else {})

    def settle(self, value: HeadChoice, chain: Chain) -> HeadChoice:
        features = features_of(_without_pool(chain))
        single = len(features.shape) == 3 and _positions(features) == 1
        pooling = value.pooling if value.pooling in _poolings(chain) else self.baseline(chain).pooling
        return replace(
            value,
            pooling="avg" if single and pooling == "max" else pooling,
            activation=value.activation if value.widths else _PLAIN.activation,
            dropout=_PLAIN.dropout,  # set by the decision `dropout`
        )

    def apply(self, chain: Chain, value: HeadChoice) -> Chain:
        return chain if value.pooling == OWN_POOLING else _without_pool(chain)

    def words(self, value: HeadChoice, chain: Chain) -> str:
        plain = self.baseline(chain)
        parts = [str(width) for width in value.widths]
        text = f"head {' -> '.join((*parts, 'classes'))}" if parts else ""
        pooling = f"{value.pooling} pooling" if value.pooling != plain.pooling and _poolings(chain) else ""
        return ", ".join(filter(None, (pooling, "layer norm" if value.norm else "", text)))

    def dump(self, value: HeadChoice) -> Json:
        return {
            "pooling": value.pooling,
            "widths": list(value.widths),
            "norm": value.norm,
            "activation": value.activation,
            "dropout": value.dropout,
        }

    def parse(self, data: Json) -> HeadChoice:
        value = read_fields(self.name, data, HeadChoice)
        read_choice("head.pooling", value.pooling, _POOLINGS)
        if not isinstance(value.widths, tuple) or len(value.widths) > _MOST_HIDDEN:
            raise CandidateError(f"candidate: head.widths must be up to {_MOST_HIDDEN} numbers, got {value.widths!r}")
        for width in value.widths:
            read_number("head.widths", width, whole=True, least=1)
        read_choice("head.norm", value.norm, (False, True))
        read_choice("head.activation", value.activation, tuple(ACTIVATIONS))
        read_number("head.dropout", value.dropout, most=0.95)
        return value


def _choices(chain: Chain, within: Range) -> Choices:
    features, possible = features_of(_without_pool(chain)), _poolings(chain)
    # Not named in the default, which is stored with every study: those that began without it go on.
    wanted = (OWN_POOLING, *within.pooling) if within.pooling == _USUAL else within.pooling
    # In a decoder, the last token represents the whole text.
    named = ["last" if features.causal and kind == "cls" else kind for kind in wanted]
    fitting = tuple(dict.fromkeys(kind for kind in named if kind in possible)) or possible[:1]
    own, tokens = OWN_POOLING in possible, bool(possible) and possible[-1] in TEXT_POOLINGS
    return Choices(within, fitting, "head.pool" if own else "head.token_pooling" if tokens else "head.pooling")


def _without_pool(chain: Chain) -> Chain:
    """Return ``chain`` without the network's own pool, if it ends in that."""
    if not chain.units or chain.units[-1].name != chain.facts.get(POOL):
        return chain
    return replace(chain, units=chain.units[:-1], dropped=chain.dropped + 1)


def _poolings(chain: Chain) -> tuple[str, ...]:
    """Return the poolings for the end of ``chain``, the network's own first; none if it ends in a vector."""
    rest = _without_pool(chain)
    return (*((OWN_POOLING,) if rest is not chain else ()), *features_of(rest).poolings)


def _positions(features: Features) -> int:
    """Return the number of positions in a feature map."""
    height, width = features.shape[:2] if features.channels_last else features.shape[-2:]
    return height * width


def features_of(chain: Chain) -> Features:
    """Return the features that a head on ``chain`` is attached to."""
    shape = probe.output_shape(chain)
    token = chain.facts.get("class_token")
    is_tokens = len(shape) == 2
    return Features(
        shape,
        probe.is_channels_last(chain, shape),
        int(str(token)) if is_tokens and token is not None else None,
        registers=_registers(chain, shape) if is_tokens else 0,
        masked=is_tokens and bool(chain.facts.get("masked")),
        causal=is_tokens and bool(chain.facts.get("causal")),
    )


def _registers(chain: Chain, shape: tuple[int, ...]) -> int:
    """Return the tokens between class token and patches in an output of ``shape``: some networks add theirs late."""
    prefix = prefix_tokens(chain.facts)
    registers = prefix - (chain.facts.get("class_token") is not None)
    if registers < 1:
        return 0
    patches = _patches(chain, shape)
    return registers if patches and shape[0] - math.prod(patches) == prefix else 0


def _patches(chain: Chain, shape: tuple[int, ...]) -> tuple[int, int] | None:
    if len(shape) != 2:
        return None
    with suppress(SurgeryError):
        return patch_grid_of(chain, shape[0])
    return None


def attachment(chain: Chain) -> Features:
    """Return ``features_of`` the chain, with every output that a head may tap: the last one at each resolution.

    On a detector's backbone, also the outputs that feed the detector's own pyramid.
    """
    found: dict[str, Tap] = {}
    for index, unit in mapped(chain):
        flat = probe.is_channels_last(chain, unit.out_shape)
        patches = _patches(chain, unit.out_shape)
        found[unit.name] = Tap(index, unit.name, unit.reduction, unit.out_shape, flat, patches)
    last = {tap.reduction: tap for tap in found.values()}
    taps = tuple(sorted(last.values(), key=lambda tap: tap.unit))
    detector = pretrained_detector(chain.facts)
    names = detector.taps if detector else ()
    own = tuple(found[name] for name in names) if all(name in found for name in names) else ()
    return replace(features_of(chain), taps=taps, input_size=chain.input_size, detector=detector, detector_taps=own)


decision = Head()
