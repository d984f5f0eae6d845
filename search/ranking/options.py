"""Options of a ranking: backbones, estimators, and largest cost."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from search.errors import UserError

_LIMIT = re.compile(r"([0-9]*\.?[0-9]+)([kmg]?)(f|flops|params?)?", re.IGNORECASE)
_FACTORS = {"": 1.0, "k": 1e3, "m": 1e6, "g": 1e9}


@dataclass(frozen=True, slots=True)
class CostLimits:
    """The largest cost of a backbone, without its classifier; None for no limit."""

    parameters: float | None = None
    flops: float | None = None

    def why_not(self, parameters: float, flops: float) -> str:
        """Return why a backbone is too large; empty if it is not."""
        if self.parameters is not None and parameters > self.parameters:
            return f"{parameters / 1e6:.1f}M parameters, above {self.parameters / 1e6:g}M"
        if self.flops is not None and flops > self.flops:
            return f"{flops / 1e9:.2f} GFLOPs, above {self.flops / 1e9:g}"
        return ""


@dataclass(frozen=True, slots=True, kw_only=True)
class RankOptions:
    """Which backbones are ranked, and how.

    Attributes:
        names: backbones; weights that are not on this machine are downloaded.
        all_local: also every backbone whose weights are on this machine; the default if no names are given.
        under: what a backbone may cost.
        methods: names of estimators; all by default.
        images: most training images that are read, of every class its share.
        layers: of how many units the features are scored.
    """

    names: Sequence[str] = ()
    all_local: bool = False
    under: CostLimits = CostLimits()
    methods: Sequence[str] = ()
    images: int = 1000
    layers: int = 6


def parse_limits(text: str) -> CostLimits:
    """Return the limits in ``10M,1GF``: parameters, and FLOPs (2 per multiply-add) of one image, which end in F.

    Raises:
        UserError: the text says neither.
    """
    limits: dict[str, float] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        match = _LIMIT.fullmatch(part)
        kind = "flops" if match and (match[3] or "p")[0].lower() == "f" else "parameters"
        if match is None or kind in limits or float(match[1]) <= 0:
            raise UserError(f"--under: expected parameters, FLOPs or both, such as 10M,1GF, got {text!r}")
        limits[kind] = float(match[1]) * _FACTORS[match[2].lower()]
    if not limits:
        raise UserError(f"--under: expected parameters, FLOPs or both, such as 10M,1GF, got {text!r}")
    return CostLimits(**limits)
