"""Candidates: one value for every decision, plain data that survives JSON."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from spaces.errors import CandidateError

FORMAT = 1
"""Version of the JSON form; raised when its meaning changes."""

Json = Any
"""JSON data: None, bool, int, float, str, and lists and string-keyed mappings of these."""


@dataclass(frozen=True, slots=True)
class Structure:
    """The network of a candidate: a pretrained backbone and the changes to it."""

    backbone: str
    """Full name of the backbone with its source, ``torchvision:mobilenet_v2``."""
    weights: str
    """Name of the pretrained weights, ``IMAGENET1K_V1``, a file's path, or ``none``."""
    input_size: tuple[int, int]
    """Height and width of the input in pixels."""
    choices: Mapping[str, Json] = field(default_factory=dict)
    """Decision name -> its value in JSON form, for every decision that shapes the network."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """How a candidate is trained."""

    choices: Mapping[str, Json] = field(default_factory=dict)
    """Decision name -> its value in JSON form, for every decision of the training recipe."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """One value for every decision of a space."""

    structure: Structure
    recipe: Recipe

    def to_json(self) -> dict[str, Json]:
        """Return the candidate as data; ``from_json`` returns the same candidate."""
        structure = self.structure
        return {
            "format": FORMAT,
            "structure": {
                "backbone": structure.backbone,
                "weights": structure.weights,
                "input_size": list(structure.input_size),
                "choices": dict(structure.choices),
            },
            "recipe": {"choices": dict(self.recipe.choices)},
        }

    @classmethod
    def from_json(cls, data: Json) -> Candidate:
        """Read what ``to_json`` wrote.

        Raises:
            CandidateError: a key is missing or unknown, a type is wrong, or another format version wrote it.
        """
        given = data.get("format") if isinstance(data, Mapping) else FORMAT
        if given is not None and (type(given) is not int or given != FORMAT):
            raise CandidateError(
                f"candidate has format {given!r}, this version of ftsearch reads format {FORMAT}; "
                "use the version that wrote it"
            )
        top = _keys(data, "candidate", {"format", "structure", "recipe"})
        structure = _keys(top["structure"], "candidate.structure", {"backbone", "weights", "input_size", "choices"})
        recipe = _keys(top["recipe"], "candidate.recipe", {"choices"})
        size = structure["input_size"]
        if not (isinstance(size, list | tuple) and len(size) == 2 and all(_is_positive(side) for side in size)):
            raise CandidateError(f"candidate.structure.input_size must be [height, width] in pixels, got {size!r}")
        for key in ("backbone", "weights"):
            if not isinstance(structure[key], str):
                raise CandidateError(f"candidate.structure.{key} must be a name, got {structure[key]!r}")
        for part, choices in (("structure", structure["choices"]), ("recipe", recipe["choices"])):
            if not isinstance(choices, Mapping):
                raise CandidateError(f"candidate.{part}.choices must map decisions to values, got {choices!r}")
        return cls(
            Structure(structure["backbone"], structure["weights"], (size[0], size[1]), dict(structure["choices"])),
            Recipe(dict(recipe["choices"])),
        )

    @property
    def fingerprint(self) -> str:
        """Sixteen hexadecimal digits, equal for equal candidates."""
        text = json.dumps(self.to_json(), sort_keys=True, separators=(",", ":"))
        return hashlib.sha256(text.encode()).hexdigest()[:16]


def _is_positive(side: object) -> bool:
    return isinstance(side, int) and not isinstance(side, bool) and side > 0


def _keys(data: Json, place: str, expected: set[str]) -> Mapping[str, Json]:
    if not isinstance(data, Mapping):
        raise CandidateError(f"{place} must be a mapping with the keys {', '.join(sorted(expected))}, got {data!r}")
    if set(data) != expected:
        missing, unknown = sorted(expected - set(data)), sorted(str(key) for key in set(data) - expected)
        raise CandidateError(f"{place} has missing keys {missing} and unknown keys {unknown}")
    return data


def short(value: float) -> str:
    """Return ``value`` in three digits: ``0.05``, ``4.5e-4``, ``30``, ``1.2e5``; ``4.5e-4`` never as ``0.00045``."""
    if not math.isfinite(value) or value == 0 or 1e-3 <= abs(value) < 1e5:
        return f"{value:.3g}" if abs(value) < 1000 else f"{value:.0f}"
    digits, _, exponent = f"{value:.2e}".partition("e")
    return f"{float(digits):g}e{int(exponent)}"
