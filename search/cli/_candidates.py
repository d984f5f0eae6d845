"""How a candidate is named on the command line: a trial of a study, or a file."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from search.errors import UserError
from search.records.named_trial import NAMES, named_trial, with_candidate
from search.records.study import StudyRecord, TrialRecord
from search.spec.candidates import read_candidate
from search.store import reading
from search.store.connection import Engine
from spaces.candidate import Candidate


@dataclass(frozen=True, slots=True)
class Pointed:
    """A candidate named on the command line.

    Attributes:
        label: for people: ``trial 3 of flowers``, or the file's path.
        base_size: input size of its study; None if unknown.
        trial: its record; None for a file.
    """

    label: str
    candidate: Candidate
    base_size: tuple[int, int] | None = None
    study: StudyRecord | None = None
    trial: TrialRecord | None = None


def read_file(text: str) -> Pointed:
    """Return the candidate in a JSON file, or of a model's folder.

    Raises:
        UserError: there is none.
    """
    return Pointed(text, read_candidate(Path(text)))


def study_of(text: str) -> str:
    """Return the study in ``STUDY:TRIAL``; empty if there is none."""
    return text.rpartition(":")[0]


def read_trial(engine: Engine, text: str, study: str = "") -> Pointed:
    """Return the trial meant by ``STUDY:TRIAL``, or ``TRIAL`` of ``study``; TRIAL is a number, best, baseline or refit.

    Raises:
        NotFoundError: no such study or trial.
        UserError: it does not name anything readable, or the trial has no candidate yet.
    """
    name, _, wanted = text.rpartition(":")
    name = name or study
    if not wanted:
        raise UserError(f"expected STUDY:TRIAL, TRIAL (a number, {', '.join(NAMES)}) or a file, got {text!r}")
    if not name:
        raise UserError(f"which study is trial {text} from? write STUDY:{text}, or name the study with --study")
    record = reading.load_study(engine, name, epochs=False)
    trial = with_candidate(record, named_trial(record, wanted)[0])
    height, width = (record.identity or {}).get("input_size") or (0, 0)
    candidate = Candidate.from_json(trial.candidate)
    return Pointed(f"trial {trial.number} of {name}", candidate, (height, width) if height else None, record, trial)
