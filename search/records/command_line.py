"""Commands that are proposed to users, fit to be copied into a shell."""

from __future__ import annotations

import shlex
from pathlib import Path

from search.records.plain_text import printable


def command(*words: str | Path) -> str:
    """Return ``ftsearch`` with these ``words``: signs of the shell are quoted, and no path is taken for an option."""
    placed = (f"./{word}" if isinstance(word, Path) and str(word).startswith("-") else str(word) for word in words)
    return printable(shlex.join(("ftsearch", *placed)))
