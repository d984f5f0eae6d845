"""Entities in tagged sentences, and the scores of CoNLL's shared tasks for finding them.

The rules are those of ``conlleval`` (https://aclanthology.org/W03-0419), as seqeval applies them by default: a
chunk begins and ends where tags say so or the type changes, in IOB1, IOB2, IOE and IOBES.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

OUTSIDE = "O"
_SCHEME = re.compile(r"[BIESLU]-.+")
_SAME = {"L": "E", "U": "S"}
"""BILOU's prefixes, in terms of IOBES's."""

Entity = tuple[str, int, int]
"""Type, first and last word."""


def has_scheme(tags: Iterable[str]) -> bool:
    """Return whether ``tags`` mark entities of several words; parts of speech, for example, do not."""
    return all(tag == OUTSIDE or _SCHEME.fullmatch(tag) for tag in tags)


def entities(tags: Sequence[str], *, scheme: bool = True) -> set[Entity]:
    """Return the entities that ``tags`` mark in one sentence; without a ``scheme`` every tagged word is one."""
    if not scheme:
        return {(tag, index, index) for index, tag in enumerate(tags) if tag != OUTSIDE}
    marked: set[Entity] = set()
    before, kind, start = OUTSIDE, "", 0
    for index, tag in enumerate([*tags, OUTSIDE]):
        mark, _, own = tag.partition("-")
        mark = _SAME.get(mark, mark)
        if before != OUTSIDE and _ends(before, mark, same=own == kind):
            marked.add((kind, start, index - 1))
        if mark != OUTSIDE and _starts(before, mark, same=own == kind):
            start = index
        before, kind = mark, own
    return marked


def _ends(before: str, mark: str, *, same: bool) -> bool:
    return before in "ES" or mark in "BSO" or not same


def _starts(before: str, mark: str, *, same: bool) -> bool:
    return mark in "BS" or before in "ESO" or not same


@dataclass(frozen=True, slots=True)
class Score:
    """How well entities of a type, or of all types, are found: only exact borders and type count."""

    precision: float
    recall: float
    f1: float
    support: int


def scores(true: Sequence[set[Entity]], predicted: Sequence[set[Entity]]) -> tuple[Score, dict[str, Score]]:
    """Return the score over all entities and that of each type; both arguments hold one set per sentence."""
    hits: Counter[str] = Counter()
    there: Counter[str] = Counter()
    counts: Counter[str] = Counter()
    for real, claimed in zip(true, predicted, strict=True):
        there.update(kind for kind, _, _ in real)
        counts.update(kind for kind, _, _ in claimed)
        hits.update(kind for kind, _, _ in real & claimed)
    kinds = sorted({*there, *counts})
    whole = _score(hits.total(), counts.total(), there.total())
    return whole, {kind: _score(hits[kind], counts[kind], there[kind]) for kind in kinds}


def _score(hits: int, predicted: int, there: int) -> Score:
    precision, recall = hits / predicted if predicted else 0.0, hits / there if there else 0.0
    return Score(precision, recall, 2 * hits / (predicted + there) if predicted + there else 0.0, there)
