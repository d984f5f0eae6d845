"""Structures as pictures have them: a unit's state and edit in few letters, its width, the stages."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, UnitRecord

_SHORT = (
    (re.compile(r"(\d+x\d+) kernel"), r"\1"),
    (re.compile(r"stride (\d+)"), r"s\1"),
    (re.compile(r"dilated"), "dil"),
    (re.compile(r"LoRA of rank (\d+)"), r"r\1"),
    (re.compile(r"(\d+x\d+) block of (\d+)"), r"+\1"),
    (re.compile(r"adapter of (\d+)"), "+a"),
    (re.compile(r"patches of (\d+)"), r"p\1"),
    (re.compile(r"(\d+) neurons"), r"\1"),
)
_THINNEST = 0.25
"""Share of the mean width that every unit has at least: pooling has no parameters, and is to be seen."""


class Cell(NamedTuple):
    """One unit of a structure: its name, its ``state`` in one word, its edits in full and in few letters."""

    unit: str
    state: str
    edits: str = ""
    short: str = ""

    @property
    def words(self) -> str:
        """``features.7: trained, 5x5 kernel``."""
        return f"{self.unit}: {self.state}{f', {self.edits}' if self.edits else ''}"


def cells(study: StudyRecord, trial: TrialRecord) -> tuple[Cell, ...]:
    """Return the units of a trial's structure; none while it has not been built."""
    states = trial.size.unit_states if trial.size is not None else ()
    names = [unit.name for unit in study.units]
    if len(names) != len(states):  # of another backbone than the study's first
        names = [f"unit {index}" for index in range(1, len(states) + 1)]
    return tuple(cell(name, state) for name, state in zip(names, states, strict=True))


def cell(unit: str, text: str) -> Cell:
    """Return the unit named ``unit`` with the state that is recorded as ``text``."""
    state, _, edits = text.partition(": ")
    letters = " ".join(_short(edit) for edit in edits.split(", ") if edit)
    return Cell(unit, state, edits, letters or ("skip" if state == "skipped" else ""))


def _short(edit: str) -> str:
    for pattern, letters in _SHORT:
        found = pattern.fullmatch(edit)
        if found is not None:
            return found.expand(letters)
    return edit if len(edit) <= 4 else f"{edit[:3]}…"


def words(found: Sequence[Cell]) -> str:
    """Return how many units are in which state: ``12 units: 5 frozen, 7 trained, 2 of them edited``."""
    counts = Counter(one.state for one in found)
    edited = sum(bool(one.edits) for one in found)
    parts = [f"{count} {state}" for state, count in counts.items()]
    return f"{len(found)} units: {', '.join(parts)}" + (f", {edited} of them edited" if edited else "")


def edges(units: Sequence[UnitRecord], sizes: Sequence[float] | None = None) -> list[float]:
    """Return where the cells of ``units`` begin and the last one ends: equally wide, or in proportion to ``sizes``."""
    count = len(units)
    total = sum(sizes or ())
    shares = [max(size / total, _THINNEST / count) for size in sizes] if sizes and total else [1 / count] * count
    places = [0.0]
    for share in shares:
        places.append(places[-1] + share * count / sum(shares))
    return places


def stages(units: Sequence[UnitRecord]) -> list[tuple[int, str]]:
    """Return where a stage begins, by the place of its first unit, and its resolution: ``1/8`` of the input's.

    A stage begins where the feature maps become smaller; none in a network whose maps keep their size.
    """
    found: list[tuple[int, str]] = []
    before = 0
    for place, unit in enumerate(units):
        if unit.reduction != before:
            found.append((place, f"1/{unit.reduction}"))
            before = unit.reduction
    return found if len(found) > 1 else []
