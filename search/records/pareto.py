"""Pareto dominance, fronts and their hypervolume; pure."""

from __future__ import annotations

from collections.abc import Sequence

Point = Sequence[float]
"""One value per objective, in the order of ``maximize``."""


def dominates(one: Point, other: Point, maximize: Sequence[bool], tolerances: Sequence[float] = ()) -> bool:
    """Return whether ``one`` is as good as ``other`` in every objective and better in one.

    Args:
        tolerances: per objective, the share of its value by which it varies between measurements of the same thing:
            values no further apart count as equal. By default none.
    """
    mine, theirs = _losses(one, maximize), _losses(other, maximize)
    slacks = tolerances or (0.0,) * len(mine)
    rows = list(zip(mine, theirs, slacks, strict=True))
    return all(_as_good(*row) for row in rows) and any(not _as_good(right, left, slack) for left, right, slack in rows)


def front(points: Sequence[Point], maximize: Sequence[bool], tolerances: Sequence[float] = ()) -> tuple[int, ...]:
    """Return the indices of the points that no other point dominates, in order; of equal points only the first.

    Points are visited by the first objective, the best first, so that only a front point can dominate a later one:
    the number of comparisons is points times front points. With ``tolerances`` (as for ``dominates``) a point is left
    out if a kept one is as good in every objective up to its tolerance: an epsilon-approximate front (Laumanns et al.
    2002, https://doi.org/10.1162/106365602760234108), which repeated measurements do not lengthen.
    """
    losses = [_losses(point, maximize) for point in points]
    slacks = tolerances or (0.0,) * len(maximize)
    members: list[int] = []
    for index in sorted(range(len(losses)), key=lambda index: (losses[index], index)):
        mine = losses[index]
        if not any(all(map(_as_good, losses[kept], mine, slacks)) for kept in members):
            members.append(index)
    return tuple(sorted(members))


def hypervolume(points: Sequence[Point], reference: Point, maximize: Sequence[bool]) -> float:
    """Return the volume between ``reference`` and the points that are better than it in every objective.

    The usual measure of a front (Zitzler and Thiele 1998, https://doi.org/10.1007/BFb0056872), exact, by slicing
    along the last objective; meant for fronts of up to some hundred points in two to four objectives.
    """
    corner = _losses(reference, maximize)
    losses = [_losses(point, maximize) for point in points]
    inside = [mine for mine in losses if all(one < limit for one, limit in zip(mine, corner, strict=True))]
    return _volume(inside, corner)


def _as_good(loss: float, than: float, slack: float) -> bool:
    return loss <= than + slack * abs(than)


def _losses(point: Point, maximize: Sequence[bool]) -> tuple[float, ...]:
    """Return the point as losses: less is better."""
    return tuple(-value if up else value for value, up in zip(point, maximize, strict=True))


def _volume(points: Sequence[tuple[float, ...]], corner: tuple[float, ...]) -> float:
    if not points:
        return 0.0
    if len(corner) == 1:
        return corner[0] - min(point[0] for point in points)
    depths = sorted({point[-1] for point in points})
    total = 0.0
    for depth, end in zip(depths, [*depths[1:], corner[-1]], strict=True):
        total += (end - depth) * _volume([point[:-1] for point in points if point[-1] <= depth], corner[:-1])
    return total
