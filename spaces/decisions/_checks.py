"""Checks values in study files and candidates; every error is one line that names the field."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import fields
from typing import Any, TypeVar

from spaces.candidate import Json
from spaces.decisions._base import Scalar
from spaces.errors import CandidateError

T = TypeVar("T")


def check_range(name: str, low: float, high: float | None, *, least: float = 0) -> None:
    """Check a range of a study file.

    Raises:
        ValueError: it is reversed, or begins below ``least``.
    """
    if not all(math.isfinite(end) for end in (low, 0 if high is None else high)):
        raise ValueError(f"{name}: must be finite numbers, got {low:g} to {'the end' if high is None else f'{high:g}'}")
    if low < least:
        raise ValueError(f"{name}: low must be at least {least:g}, got {low:g}")
    if high is not None and low > high:
        raise ValueError(f"{name}: the range is empty: low {low:g} is larger than high {high:g}")


def check_number(name: str, given: float, low: float, high: float | None = None) -> None:
    """Check a number of a study file.

    Raises:
        ValueError: it is not finite, or outside ``low..high``.
    """
    if not math.isfinite(given) or given < low or (high is not None and given > high):
        wanted = f"at least {low:g}" if high is None else f"between {low:g} and {high:g}"
        raise ValueError(f"{name}: must be {wanted}, got {given:g}")


def check_choices(name: str, given: Sequence[Any], allowed: Sequence[Any] | None = None) -> None:
    """Check a list of a study file.

    Raises:
        ValueError: it is empty, or has a duplicate or an item that is not in ``allowed``.
    """
    if not given:
        raise ValueError(f"{name}: the list is empty; name at least one")
    if len(set(given)) < len(given):
        raise ValueError(f"{name}: there is a duplicate in {list(given)}")
    if allowed is not None:
        for choice in given:
            if choice not in allowed:
                raise ValueError(f"{name}: expected one of {', '.join(map(str, allowed))}, got {choice!r}")


def check_numbers(name: str, given: Sequence[float], low: float, high: float | None = None) -> None:
    """Check a list of numbers of a study file.

    Raises:
        ValueError: it is empty, or has a duplicate or a number that is not finite or outside ``low..high``.
    """
    check_choices(name, given)
    for number in given:
        check_number(name, number, low, high)


_MOST = 1 << 16


def read_number(decision: str, data: Json, *, whole: bool = False, least: float = 0, most: float | None = None) -> Any:
    """Return ``data`` if it is a finite number in ``least..most`` and not a boolean.

    By default integers are at most 65536: larger networks would not fit into any memory, and candidates may come from
    other people's files.

    Raises:
        CandidateError: it is anything else.
    """
    most = _MOST if whole and most is None else most
    is_number = isinstance(data, int if whole else int | float) and not isinstance(data, bool)
    if not is_number or not math.isfinite(data) or data < least or (most is not None and data > most):
        kind = "a whole number" if whole else "a number"
        bounds = f"of at least {least:g}" if most is None else f"from {least:g} to {most:g}"
        raise CandidateError(f"candidate: {decision} must be {kind} {bounds}, got {data!r}")
    return data


def rounded(number: float, low: float, high: float) -> float:
    """Return ``number`` rounded to four digits, inside ``low..high``, so that people read exactly what is trained."""
    return min(max(float(f"{number:.4g}"), low), high)


def read_names(decision: str, data: Json) -> tuple[str, ...]:
    """Return a list of names as a tuple.

    Raises:
        CandidateError: it is anything else.
    """
    is_list = isinstance(data, list | tuple) and all(isinstance(name, str) for name in data)
    if not is_list or len(set(data)) < len(data):
        raise CandidateError(f"candidate: {decision} must be a list of different names, got {data!r}")
    return tuple(data)


def read_choice(decision: str, data: Json, allowed: Sequence[Scalar]) -> Any:
    """Return ``data`` if it is one of ``allowed``, of the same type.

    Raises:
        CandidateError: it is not.
    """
    if not any(type(data) is type(choice) and data == choice for choice in allowed):
        raise CandidateError(f"candidate: {decision} must be one of {', '.join(map(str, allowed))}, got {data!r}")
    return data


def read_fields(decision: str, data: Json, kind: type[T]) -> T:
    """Return an instance of the frozen dataclass ``kind`` from a mapping with exactly its fields; lists become tuples.

    Raises:
        CandidateError: ``data`` is not a mapping, or its keys are not those of ``kind``.
    """
    names = [field.name for field in fields(kind)]  # type: ignore[arg-type]  # every caller gives a dataclass
    if not isinstance(data, Mapping) or set(data) != set(names):
        raise CandidateError(f"candidate: {decision} must have the keys {', '.join(names)}, got {data!r}")
    return kind(**{name: _tupled(value) for name, value in data.items()})


def _tupled(value: Json) -> Any:
    return tuple(_tupled(part) for part in value) if isinstance(value, list | tuple) else value
