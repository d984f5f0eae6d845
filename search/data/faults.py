"""Samples that cannot be used: refused, the first one named, or left out and listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from search.errors import FaultsError
from search.records.plain_text import curtailed

OnError = Literal["refuse", "skip"]


def refuse(lines: Sequence[str], on_error: OnError, name: str = "") -> None:
    """Raise the first of ``lines``, one a fault, where faulty samples are not to be skipped.

    Raises:
        FaultsError: there is a fault and ``on_error`` is ``refuse``.
    """
    if lines and on_error == "refuse":
        more = f" ({len(lines) - 1} more fault{'s' * (len(lines) > 2)})" if len(lines) > 1 else ""
        where = f"{name}: " if name else ""
        raise FaultsError(
            f"{where}{curtailed(lines[0])}{more}; mend it, or set `on_error: skip` under `data:` to leave such out",
            tuple(lines),
        )
