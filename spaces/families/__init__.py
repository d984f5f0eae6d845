"""What the generic cut cannot know, one family per file."""

from __future__ import annotations

from torch import nn

from spaces.families._base import Family
from spaces.plugins import load


def family_of(network: nn.Module) -> Family | None:
    """Return the family that ``network`` belongs to; None for the many that need none."""
    families: dict[str, Family] = load("spaces.families", "family")
    return next((family for family in families.values() if family.matches(network)), None)
