"""How people point at a candidate: a trial of a study, or a file."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from search.errors import NotFoundError, UserError
from search.records.study import StudyRecord, TrialRecord
from search.store import reading
from search.store.connection import Engine
from spaces.candidate import Candidate
from spaces.errors import CandidateError

BEST, BASELINE = "best", "baseline"
_FILE = "candidate.json"
"""In a model's folder."""


@dataclass(frozen=True, slots=True)
class Pointed:
    """A candidate that was pointed at.

    Attributes:
        label: for people: ``trial 3 of flowers``, or the file's path.
        base_size: input size of its study; None where that is not known.
        trial: its record; None for a file.
    """

    label: str
    candidate: Candidate
    base_size: tuple[int, int] | None = None
    study: StudyRecord | None = None
    trial: TrialRecord | None = None


def is_file(text: str) -> bool:
    """Return whether ``text`` points at a file or a model's folder, so that no store is needed."""
    path = Path(text)
    return text.endswith(".json") or "/" in text or path.is_file() or (path / _FILE).is_file()


def read_file(text: str) -> Pointed:
    """Return the candidate in a JSON file, or of a model's folder.

    Raises:
        UserError: there is none.
    """
    path = Path(text) / _FILE if Path(text).is_dir() else Path(text)
    try:
        data = json.loads(path.read_text("utf-8"))
        if isinstance(data, dict) and "structure" not in data and "candidate" in data:
            data = data["candidate"]  # as `ftsearch best --json` prints a trial
        return Pointed(text, Candidate.from_json(data))
    except OSError as error:
        raise UserError(f"cannot read the candidate {path}: {error.strerror}") from error
    except (ValueError, CandidateError) as error:
        raise UserError(f"{path} is no candidate: {error}") from error


def study_of(text: str) -> str:
    """Return the study in ``STUDY:TRIAL``; empty where there is none."""
    return text.rpartition(":")[0]


def read_trial(engine: Engine, text: str, study: str = "") -> Pointed:
    """Return the trial meant by ``STUDY:TRIAL``, or ``TRIAL`` of ``study``; TRIAL is a number, best or baseline.

    Raises:
        NotFoundError: no such study or trial.
        UserError: it points at nothing that can be read, or the trial has no candidate yet.
    """
    name, _, wanted = text.rpartition(":")
    name = name or study
    if not wanted:
        raise UserError(f"expected STUDY:TRIAL, TRIAL (a number, {BEST} or {BASELINE}) or a file, got {text!r}")
    if not name:
        raise UserError(f"of which study is trial {text}? write STUDY:{text}, or name it with --study")
    record = reading.load_study(engine, name, epochs=False)
    trial = _trial(record, wanted)
    if trial.candidate is None:
        raise UserError(f"trial {trial.number} of {name!r} ({trial.state}) has no candidate yet")
    height, width = (record.identity or {}).get("input_size") or (0, 0)
    candidate = Candidate.from_json(trial.candidate)
    return Pointed(f"trial {trial.number} of {name}", candidate, (height, width) if height else None, record, trial)


def _trial(record: StudyRecord, wanted: str) -> TrialRecord:
    if wanted == BEST:
        found = record.best
    elif wanted == BASELINE:
        found = record.baseline
    elif wanted.isdecimal():
        found = next((trial for trial in record.trials if trial.number == int(wanted)), None)
    else:
        raise UserError(f"expected the number of a trial, {BEST} or {BASELINE}, got {wanted!r}")
    if found is None:
        there = f"it has {len(record.trials)}, numbered from 0" if record.trials else "it has none yet"
        raise NotFoundError(f"the study {record.name!r} has no trial {wanted}; {there}")
    return found
