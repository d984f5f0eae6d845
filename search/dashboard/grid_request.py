"""What AG Grid asks for: rows from one place to another, sorted and filtered; of thousands, a browser holds a few."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

MOST = 1000
"""Most rows of an answer, whatever is asked for."""


@dataclass(frozen=True, slots=True)
class Sort:
    """A column to sort by, ``asc`` or ``desc``; AG Grid's names, as in all that follows."""

    colId: str  # noqa: N815
    sort: str


@dataclass(frozen=True, slots=True)
class Condition:
    """A column's filter: a comparison of ``type``, or several that ``operator`` joins."""

    type: str = ""
    filter: float | str | None = None
    filterTo: float | None = None  # noqa: N815
    operator: str = "AND"
    conditions: list[Condition] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class Request:
    """The rows ``startRow`` to ``endRow`` of those that all filters let through, sorted."""

    startRow: int = 0  # noqa: N815
    endRow: int = 100  # noqa: N815
    sortModel: list[Sort] = field(default_factory=list)  # noqa: N815
    filterModel: dict[str, Condition] = field(default_factory=dict)  # noqa: N815


Row = Mapping[str, Any]
_TEXTS: Mapping[str, Callable[[str, str], bool]] = {
    "contains": lambda text, wanted: wanted in text,
    "notContains": lambda text, wanted: wanted not in text,
    "equals": lambda text, wanted: text == wanted,
    "notEqual": lambda text, wanted: text != wanted,
    "startsWith": lambda text, wanted: text.startswith(wanted),
    "endsWith": lambda text, wanted: text.endswith(wanted),
}
_NUMBERS: Mapping[str, Callable[[float, float, float], bool]] = {
    "equals": lambda value, wanted, _: value == wanted,
    "notEqual": lambda value, wanted, _: value != wanted,
    "lessThan": lambda value, wanted, _: value < wanted,
    "lessThanOrEqual": lambda value, wanted, _: value <= wanted,
    "greaterThan": lambda value, wanted, _: value > wanted,
    "greaterThanOrEqual": lambda value, wanted, _: value >= wanted,
    "inRange": lambda value, low, high: low <= value <= high,
}


def answer(rows: Sequence[Row], request: Request, search: str = "") -> dict[str, Any]:
    """Return the rows that are asked for, and how many there are in all; ``search`` are words that each row holds."""
    found = [row for row in rows if all(_lets(row.get(name), one) for name, one in request.filterModel.items())]
    words = search.casefold().split()
    if words:
        found = [row for row in found if _holds(row, words)]
    for one in reversed(request.sortModel):
        found = _sorted(found, one)
    first = max(request.startRow, 0)
    return {"rowData": found[first : min(request.endRow, first + MOST)], "rowCount": len(found)}


def _lets(value: Any, condition: Condition) -> bool:
    if condition.conditions:
        join = any if condition.operator == "OR" else all
        return join(_lets(value, one) for one in condition.conditions)
    if condition.type in ("blank", "notBlank"):
        return (value in (None, "")) == (condition.type == "blank")
    wanted = condition.filter
    if isinstance(wanted, str):
        compare = _TEXTS.get(condition.type)
        return compare is None or compare(str("" if value is None else value).casefold(), wanted.casefold())
    numeric, number = _NUMBERS.get(condition.type), _number(value)
    if numeric is None or wanted is None:
        return True
    return number is not None and numeric(
        number, wanted, math.inf if condition.filterTo is None else condition.filterTo
    )


def _holds(row: Row, words: Sequence[str]) -> bool:
    """Return whether each of ``words`` stands in what a reader sees of ``row``, in hidden columns too."""
    texts = row.get("text", {})
    shown = [str(texts.get(name, value)) for name, value in row.items() if name not in ("id", "text", "strip", "marks")]
    whole = "\n".join([*shown, *row.get("marks", ())]).casefold()
    return all(word in whole for word in words)


def _sorted(rows: Sequence[Row], by: Sort) -> list[Row]:
    """Return ``rows`` by a column: numbers before texts, and rows without a value last, whichever way."""
    having = [row for row in rows if row.get(by.colId) not in (None, "")]
    lacking = [row for row in rows if row.get(by.colId) in (None, "")]
    return sorted(having, key=lambda row: _key(row[by.colId]), reverse=by.sort == "desc") + lacking


def _key(value: Any) -> tuple[bool, float, str]:
    number = _number(value)
    return (True, 0.0, str(value).casefold()) if number is None else (False, number, "")


def _number(value: Any) -> float | None:
    """Return a number, or what a text like ``4.5e-4`` says; None for any other text."""
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return None if math.isnan(number) else number
