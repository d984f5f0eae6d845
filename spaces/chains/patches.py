"""Tokens of image patches: how many others come before them, and the grid that they form."""

from __future__ import annotations

from collections.abc import Mapping

from spaces.chains.chain import Chain
from spaces.errors import SurgeryError

PREFIX_TOKENS = "prefix_tokens"
"""Fact of a chain of images: tokens before those of the patches, such as a class token, registers, a distillation
token."""

ROWS_FROM = "rows_from"
"""Fact of a chain of images: the least distance of patches, in pixels, from which tokens come row by row; by default
all do."""


def prefix_tokens(facts: Mapping[str, object]) -> int:
    """Return how many tokens a network puts before those of the patches, as its family says."""
    return int(str(facts.get(PREFIX_TOKENS, int(facts.get("class_token") is not None))))


def patch_grid_of(chain: Chain, tokens: int) -> tuple[int, int]:
    """Return rows and columns of the square patches that the last of a unit's ``tokens`` represent.

    Raises:
        SurgeryError: there are no such patches.
    """
    return patch_grid(tokens, chain.input_size, prefix_tokens(chain.facts))


def patch_grid(tokens: int, size: tuple[int, int], prefix: int) -> tuple[int, int]:
    """Return rows and columns of the square patches of an image of ``size`` that the last ``tokens`` represent.

    ``prefix`` others may come first; a network may also add them in a later unit.

    Raises:
        SurgeryError: there are no such patches.
    """
    for places in dict.fromkeys((tokens - prefix, tokens)):
        for patch in range(1, min(size) + 1):
            rows, columns = size[0] // patch, size[1] // patch
            if rows * columns == places:
                return rows, columns
    behind = f" behind {prefix} others" if prefix else ""
    raise SurgeryError(
        f"{tokens} tokens are not a grid of square patches of an image of {size[0]}x{size[1]} pixels{behind}"
    )
