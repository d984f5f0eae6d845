from __future__ import annotations

import math

import pytest

from search.records.rank import Objective, Size, rank_key


def test_equals_are_put_in_order_by_further_objectives_then_parameters_flops_and_number() -> None:
    wanted = (Objective("accuracy", maximize=True), Objective("latency", maximize=False))
    rows = [
        (0.9, {"latency": 2.0}, Size(5, 5, 5), 0),
        (0.9, {"latency": 1.0}, Size(9, 9, 9), 1),
        (0.9, {"latency": 1.0}, Size(9, 9, 8), 2),
        (0.9, {"latency": 1.0}, Size(8, 8, 9), 3),
        (0.8, {"latency": 0.1}, Size(1, 1, 1), 4),
    ]
    ordered = sorted(rows, key=lambda row: rank_key(wanted, *row))
    assert [row[3] for row in ordered] == [3, 2, 1, 0, 4]


@pytest.mark.parametrize(("name", "tolerance"), [("latency", 0.1), ("accuracy", 0.0)])
def test_only_what_a_clock_measures_varies(name: str, tolerance: float) -> None:
    assert Objective(name, maximize=False).tolerance == tolerance
    assert Objective(name, maximize=False).loss(None) == math.inf
