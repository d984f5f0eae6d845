"""Remarks on the units of a backbone, printed below their table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console

    from spaces.chains.probe import UnitFacts

_MOST = 0.6
"""Share of the computation above which a unit is practically the whole network."""


def show_dominant(screen: Console, facts: Sequence[UnitFacts]) -> None:
    """Print a remark if one unit does most of the computation, which leaves little to freeze or cut."""
    from search.report import wording

    unit = max(facts, key=lambda one: one.macs)
    total = sum(one.macs for one in facts)
    if unit.macs > _MOST * total:
        screen.print(
            f"{unit.name} does {wording.percent(unit.macs / total)} of the computation and cannot be cut: decisions "
            "on depth (freeze, tail) mean little for this backbone",
            style="yellow",
            soft_wrap=True,
        )
