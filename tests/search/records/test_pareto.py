from __future__ import annotations

import random
from itertools import product

import pytest

from search.records.pareto import dominates, front, hypervolume

UP_DOWN = (True, False)


def test_a_point_dominates_what_is_nowhere_better_and_somewhere_worse() -> None:
    assert dominates((0.9, 10), (0.8, 10), UP_DOWN)
    assert dominates((0.9, 10), (0.9, 11), UP_DOWN)
    assert not dominates((0.9, 10), (0.9, 10), UP_DOWN)
    assert not dominates((0.9, 10), (0.8, 9), UP_DOWN)


def test_the_front_is_what_no_point_dominates_and_of_equal_points_the_first() -> None:
    points = [(0.8, 10), (0.9, 20), (0.7, 12), (0.8, 10), (0.95, 40), (0.9, 30)]
    assert front(points, UP_DOWN) == (0, 1, 4)
    assert front([], UP_DOWN) == ()


@pytest.mark.parametrize("maximize", list(product([True, False], repeat=3)))
def test_the_front_of_drawn_points_is_what_comparing_all_pairs_gives(maximize: tuple[bool, ...]) -> None:
    rng = random.Random(1)
    points = [tuple(rng.randrange(6) for _ in maximize) for _ in range(80)]
    found = front(points, maximize)
    kept = {points[place] for place in found}
    assert len(kept) == len(found)
    assert kept == {one for one in points if not any(dominates(other, one, maximize) for other in points)}


def test_the_volume_of_boxes_is_counted_once() -> None:
    assert hypervolume([(2.0, 1.0), (1.0, 2.0)], (3.0, 3.0), (False, False)) == pytest.approx(3.0)
    assert hypervolume([(0.8, 1.0)], (0.5, 2.0), UP_DOWN) == pytest.approx(0.3)
    assert hypervolume([(1.0, 1.0, 1.0), (1.0, 1.0, 1.0)], (2.0, 3.0, 4.0), (False,) * 3) == pytest.approx(6.0)


def test_points_beyond_the_reference_cover_nothing() -> None:
    assert hypervolume([(0.4, 1.0), (0.9, 2.0)], (0.5, 2.0), UP_DOWN) == 0.0


def test_the_volume_is_that_of_counted_cells() -> None:
    rng = random.Random(2)
    points = [tuple(rng.randrange(5) for _ in range(3)) for _ in range(12)]
    cells = sum(
        any(all(one <= low for one, low in zip(point, cell, strict=True)) for point in points)
        for cell in product(range(5), repeat=3)
    )
    assert hypervolume(points, (5, 5, 5), (False,) * 3) == pytest.approx(cells)


def test_what_differs_by_less_than_the_tolerance_counts_as_equal() -> None:
    slack = (0.0, 0.1)
    assert dominates((0.9, 2.1), (0.8, 2.0), UP_DOWN, slack)
    assert not dominates((0.9, 2.1), (0.8, 2.0), UP_DOWN)
    assert not dominates((0.9, 2.3), (0.8, 2.0), UP_DOWN, slack)
    assert not dominates((0.9, 1.95), (0.9, 2.0), UP_DOWN, slack)
    points = [(0.9, 2.1), (0.9, 2.0), (0.85, 1.95), (0.8, 1.5), (0.7, 1.49)]
    assert front(points, UP_DOWN) == (1, 2, 3, 4)
    assert front(points, UP_DOWN, slack) == (1, 3)


def test_every_drawn_point_has_one_on_the_front_that_is_as_good_but_for_the_tolerance() -> None:
    rng = random.Random(3)
    points = [(rng.random(), rng.uniform(1, 3), rng.uniform(1, 3)) for _ in range(200)]
    maximize, slack = (True, False, False), (0.0, 0.1, 0.1)
    kept = front(points, maximize, slack)
    assert len(kept) < len(front(points, maximize))
    for value, first, second in points:
        assert any(
            points[one][0] >= value and points[one][1] <= 1.1 * first and points[one][2] <= 1.1 * second for one in kept
        )
