"""Tasks, one per file."""

from __future__ import annotations

from search.tasks._base import Task
from spaces.plugins import load


def tasks() -> dict[str, Task]:
    """Return every task by name."""
    return load("search.tasks", "task", "ftsearch.tasks")
