"""Candidates in files: JSON as ``ftsearch best --json`` and ``ftsearch suggest -o`` write it."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from search.errors import UserError
from search.records.study import Json
from spaces.candidate import Candidate
from spaces.errors import CandidateError


def read_candidate(path: Path) -> Json:
    """Return the candidate in the file at ``path`` as plain data; a trial's JSON holds one beside its numbers.

    Raises:
        UserError: the file cannot be read, or holds no candidate.
    """
    try:
        plain = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise UserError(f"cannot read the candidate {path}: {error.strerror}") from error
    except ValueError as error:
        raise UserError(f"the candidate {path} is no JSON: {error}") from error
    return checked(plain["candidate"] if isinstance(plain, dict) and "candidate" in plain else plain, str(path))


def checked(plain: Json, name: str) -> Json:
    """Return the candidate ``plain`` as it would be written, known by ``name`` if it is none.

    Raises:
        UserError: it is no candidate.
    """
    try:
        return Candidate.from_json(plain).to_json()
    except CandidateError as error:
        raise UserError(f"{name} is no candidate: {error}") from error


def given(entries: Sequence[Json], base: Path) -> tuple[Json, ...]:
    """Return the candidates of a list of paths, relative to ``base``, or candidates as plain data.

    Raises:
        UserError: one of them is none.
    """
    return tuple(
        read_candidate(base / Path(entry).expanduser()) if isinstance(entry, str) else checked(entry, f"number {place}")
        for place, entry in enumerate(entries, 1)
    )
