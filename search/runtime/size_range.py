"""The smallest and the largest candidate of a study, by parameters."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator

from search.runtime.objective_values import counted
from search.runtime.study_runtime import StudyRuntime
from spaces.candidate import Candidate
from spaces.decisions import registry


def size_range(runtime: StudyRuntime, seconds: float = 10.0) -> tuple[Candidate, Candidate]:
    """Return the candidates with the fewest and with the most parameters; FLOPs break ties.

    It starts from the smallest and largest value of each decision; since decisions interact (a shorter network may need
    a wider head), every single change back is tried too, for as long as ``seconds`` allow.
    """
    space, known = runtime.space, dict[str, tuple[float, float]]()
    begin = time.monotonic()

    def size(candidate: Candidate) -> tuple[float, float]:
        key = candidate.fingerprint
        if key not in known:
            counts = counted(runtime, candidate)
            known[key] = counts["parameters"], counts["flops"]
        return known[key]

    ends = (*space.extremes(), space.baseline())
    smallest, largest = min(ends, key=size), max(ends, key=size)
    left = lambda: time.monotonic() - begin < seconds  # noqa: E731
    return _improved(runtime, smallest, size, 1.0, left), _improved(runtime, largest, size, -1.0, left)


def _improved(
    runtime: StudyRuntime,
    best: Candidate,
    size: Callable[[Candidate], tuple[float, float]],
    sign: float,
    left: Callable[[], bool],
) -> Candidate:
    """Return ``best`` after every single change that makes it smaller (``sign`` 1) or larger (-1)."""
    for name in runtime.space.choices:
        for other in _changed(runtime, best, name):
            if not left():
                return best
            if sign * size(other)[0] < sign * size(best)[0]:
                best = other
    return best


def _changed(runtime: StudyRuntime, candidate: Candidate, name: str) -> Iterator[Candidate]:
    """Yield ``candidate`` with the plain, smallest and largest other values of the decision ``name``."""
    space, decision = runtime.space, registry()[name]
    values = space.values(candidate)
    others = (decision.baseline(space.chain), *decision.extremes(space.choices[name], space.chain))
    for other in others:
        if other != values[name]:
            yield space.candidate({**values, name: other})
