"""Candidates in files: JSON as ``ftsearch best --json`` and ``ftsearch suggest -o`` write it, or a model's folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

from search.data.given_paths import given_path
from search.data.yaml_documents import text_of
from search.errors import UserError
from search.records.study import Json
from spaces.candidate import Candidate
from spaces.errors import CandidateError

IN_MODEL = "candidate.json"
"""The candidate's file in the folder of an exported model."""


def is_file(text: str) -> bool:
    """Return whether ``text`` points at a candidate's file or a model's folder, rather than naming a trial."""
    path = Path(text)
    return text.endswith(".json") or "/" in text or path.is_file() or (path / IN_MODEL).is_file()


def read_candidate(path: Path) -> Candidate:
    """Return the candidate in the file at ``path``, or of the model in that folder.

    A trial's JSON holds one besides its numbers.

    Raises:
        UserError: the file cannot be read or contains no candidate.
    """
    path = path / IN_MODEL if path.is_dir() else path
    try:
        plain = json.loads(text_of(path))
    except OSError as error:
        raise UserError(f"cannot read the candidate {path}: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{path} is not a candidate: {error}") from error
    is_trial = isinstance(plain, dict) and "candidate" in plain and "structure" not in plain
    return checked(plain["candidate"] if is_trial else plain, str(path))


def checked(plain: Json, name: str) -> Candidate:
    """Return ``plain`` as a candidate; errors call it ``name``.

    Raises:
        UserError: it is not a candidate.
    """
    try:
        return Candidate.from_json(plain)
    except CandidateError as error:
        raise UserError(f"{name} is not a candidate: {error}") from error


def given(entries: Sequence[Json], base: Path) -> tuple[Json, ...]:
    """Return the candidates of a list of paths, relative to ``base``, or candidates as plain data.

    Raises:
        UserError: one of them is not a candidate.
    """
    candidates = (
        read_candidate(given_path(base, entry)) if isinstance(entry, str) else checked(entry, f"number {index}")
        for index, entry in enumerate(entries, 1)
    )
    return tuple(candidate.to_json() for candidate in candidates)
