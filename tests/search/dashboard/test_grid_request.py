from __future__ import annotations

from typing import Any

import pytest

from search.dashboard import grid_request
from search.dashboard.grid_request import Condition, Request, Sort, answer

ROWS: list[dict[str, Any]] = [
    {"id": "0", "trial": 0, "value": 0.91, "state": "complete", "words": "SGD lr 0.1", "marks": ["winner"],
     "param lr": "4.5e-4", "text": {"value": "0.9100"}},
    {"id": "1", "trial": 1, "value": 0.97, "state": "complete", "words": "AdamW", "marks": [], "param lr": "0.01",
     "text": {"value": "0.9700"}},
    {"id": "2", "trial": 2, "state": "failed", "words": "adamw, 5x5", "marks": [], "text": {}},
    {"id": "3", "trial": 3, "value": 0.5, "state": "pruned", "words": "", "marks": ["plain recipe"], "text": {}},
]  # fmt: skip


def numbers(request: Request, search: str = "") -> list[int]:
    found = answer(ROWS, request, search)
    assert found["rowCount"] == len(found["rowData"])
    return [row["trial"] for row in found["rowData"]]


@pytest.mark.parametrize(
    ("column", "way", "expected"),
    [("value", "asc", [3, 0, 1, 2]), ("value", "desc", [1, 0, 3, 2]), ("words", "asc", [1, 2, 0, 3]),
     ("param lr", "asc", [0, 1, 2, 3]), ("param lr", "desc", [1, 0, 2, 3]), ("nothing", "asc", [0, 1, 2, 3])],
)  # fmt: skip
def test_rows_are_sorted_with_those_that_lack_a_value_last(column: str, way: str, expected: list[int]) -> None:
    assert numbers(Request(sortModel=[Sort(column, way)])) == expected


def test_equal_rows_are_sorted_by_the_next_column() -> None:
    assert numbers(Request(sortModel=[Sort("state", "asc"), Sort("value", "desc")])) == [1, 0, 2, 3]


@pytest.mark.parametrize(
    ("column", "condition", "expected"),
    [
        ("value", Condition("greaterThan", 0.9), [0, 1]),
        ("value", Condition("inRange", 0.5, 0.91), [0, 3]),
        ("value", Condition("blank"), [2]),
        ("words", Condition("blank"), [3]),
        ("words", Condition("contains", "ADAMW"), [1, 2]),
        ("words", Condition("notContains", "adamw"), [0, 3]),
        ("state", Condition("equals", "complete"), [0, 1]),
        ("param lr", Condition("lessThan", 0.001), [0]),
        ("value", Condition(operator="OR", conditions=[Condition("lessThan", 0.6), Condition("equals", 0.97)]), [1, 3]),
        ("value", Condition(conditions=[Condition("notBlank"), Condition("lessThan", 0.95)]), [0, 3]),
        ("words", Condition("unheard of", "x"), [0, 1, 2, 3]),
        ("value", Condition("equals"), [0, 1, 2, 3]),
    ],
)
def test_rows_are_filtered(column: str, condition: Condition, expected: list[int]) -> None:
    assert numbers(Request(filterModel={column: condition})) == expected


@pytest.mark.parametrize(
    ("search", "expected"),
    [
        ("adamw", [1, 2]),
        ("AdamW 5x5", [2]),
        ("winner", [0]),
        ("0.9100", [0]),
        ("plain", [3]),
        ("text", []),
        (" ", [0, 1, 2, 3]),
    ],
)
def test_a_search_looks_at_what_readers_see(search: str, expected: list[int]) -> None:
    assert numbers(Request(), search) == expected


def test_a_block_is_sent_and_the_number_of_all(monkeypatch: pytest.MonkeyPatch) -> None:
    found = answer(ROWS, Request(1, 3))
    assert ([row["trial"] for row in found["rowData"]], found["rowCount"]) == ([1, 2], 4)
    monkeypatch.setattr(grid_request, "MOST", 2)
    assert len(answer(ROWS, Request(-5, 10**9))["rowData"]) == 2
