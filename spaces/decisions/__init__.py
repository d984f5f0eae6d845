"""Structure and recipe decisions, one per file."""

from __future__ import annotations

from typing import Any

from spaces.decisions._base import Decision
from spaces.plugins import load


def registry(task: str | None = None) -> dict[str, Decision[Any]]:
    """Return every decision by name, in the order they are applied; with a ``task``, only its own."""
    loaded: dict[str, Decision[Any]] = load("spaces.decisions", "decision", "ftsearch.decisions")
    if task is not None:
        loaded = {name: decision for name, decision in loaded.items() if not decision.tasks or task in decision.tasks}
    return dict(sorted(loaded.items(), key=lambda item: (item[1].stage, item[1].rank, item[0])))
