"""Broken samples: refused with an error that names the first, or left out and listed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal, NoReturn

from search.data.images import FileImage, StoredImage
from search.data.sample import Source
from search.errors import BrokenSamplesError
from search.records.plain_text import curtailed

OnError = Literal["refuse", "skip"]


def why_broken(source: Source) -> str:
    """Return why the input cannot be read; empty if it can."""
    try:
        source.open()
    except (OSError, ValueError) as error:
        return str(error) or type(error).__name__
    return ""


def refuse_unreadable(name: str, broken: Sequence[tuple[Source, str]]) -> NoReturn:
    """Raise an error that names the first of the ``broken`` inputs of the data set ``name`` and why it is broken."""
    source, reason = broken[0]
    what = "the image " if isinstance(source, FileImage | StoredImage) else ""
    more = f" ({len(broken) - 1} more like it)" if len(broken) > 1 else ""
    raise BrokenSamplesError(
        f"{name}: cannot read {what}{source.name}: {reason}{more}; "
        "remove or replace it, or set `on_error: skip` under `data:`",
        tuple(f"{source.name}: {reason}" for source, reason in broken),
    )


def refuse(lines: Sequence[str], on_error: OnError, name: str = "") -> None:
    """Raise the first of ``lines``, one for each broken sample, unless such samples are to be skipped.

    Raises:
        BrokenSamplesError: there is a line and ``on_error`` is ``refuse``.
    """
    if lines and on_error == "refuse":
        more = f" ({len(lines) - 1} more fault{'s' * (len(lines) > 2)})" if len(lines) > 1 else ""
        where = f"{name}: " if name else ""
        raise BrokenSamplesError(
            f"{where}{curtailed(lines[0])}{more}; fix it, or set `on_error: skip` under `data:` to leave such "
            "samples out",
            tuple(lines),
        )
