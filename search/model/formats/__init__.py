"""File formats of finished models, one per file."""

from __future__ import annotations

from search.errors import UserError
from search.model.formats._base import ModelFormat
from spaces.plugins import load


def model_formats() -> dict[str, ModelFormat]:
    """Return every format by name."""
    return load("search.model.formats", "model_format", "ftsearch.model_formats")


def model_format(name: str) -> ModelFormat:
    """Return the format called ``name``.

    Raises:
        UserError: there is none, or it needs a package that is not installed.
    """
    known = model_formats()
    if name not in known:
        raise UserError(f"unknown model format {name!r}; expected one of {', '.join(known)}")
    if needed := known[name].requirement():
        raise UserError(f"the format {name} needs a package that is not installed; install it with `{needed}`")
    return known[name]
