"""JSON of rows as records take it: checked where it is read, since whoever shares the database can write anything.

What has another form than the records expect raises one of the errors that ``connection.retried`` turns into a line.
"""

from __future__ import annotations

from typing import Any

from search.records.study import Json, Objective


def numbers_of(stored: Json) -> dict[str, float]:
    """Return stored numbers by name; none if nothing is stored."""
    return {name: float(value) for name, value in dict(stored or {}).items()}


def fresh_key_of(stored: Json) -> dict[str, Any]:
    """Return the stored key of a fresh training, all of whose entries are numbers."""
    return {name: float(value) if name == "fraction" else int(value) for name, value in dict(stored).items()}


def params_of(stored: Json) -> dict[str, Json]:
    """Return stored parameters, whose numbers figures draw."""
    params = dict(stored or {})
    for number in (value for value in params.values() if isinstance(value, int)):
        float(number)
    return params


def spec_of(stored: Json) -> Json:
    """Return a stored spec, of which ``StudyRecord`` reads the objectives."""
    for one in () if stored is None else (stored.get("study") or {}).get("objectives") or ():
        Objective(str(one["name"]), one["direction"] == "maximize")
    return stored


def identity_of(stored: Json) -> Json:
    """Return a stored identity, of which the input's height and width are read."""
    height, width = (stored or {}).get("input_size") or (0, 0)
    int(height), int(width)
    return stored


def extras_of(stored: Json) -> dict[str, Json]:
    """Return stored facts of a trial, of which those are checked that are computed with."""
    extras = dict(stored or {})
    numbers_of(extras.get("cost"))
    int((extras.get("cost") or {}).get("epochs") or 0)
    numbers_of(extras.get("known"))
    int(extras.get("prior") or 0)
    for name in ("marks", "origin"):
        dict(extras.get(name) or {})
    return extras


def texts_of(stored: Json) -> tuple[str, ...]:
    """Return a stored list of texts; none if nothing is stored."""
    if not isinstance(stored, list | None):
        raise TypeError(f"expected a list of texts, got {stored!r:.60}")
    return tuple(map(text_of, stored or ()))


def text_of(stored: Json) -> str:
    """Return a stored text."""
    if not isinstance(stored, str):
        raise TypeError(f"expected text, got {stored!r:.60}")
    return stored
