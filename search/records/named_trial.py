"""Resolves the name of a trial: ``best``, ``baseline``, ``refit`` or a number; words every error about it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search.errors import NotFoundError, UserError
from search.records.choice import final_model
from search.records.study import Refit, StudyRecord, TrialRecord

BEST, BASELINE, REFIT = "best", "baseline", "refit"
NAMES = (BEST, BASELINE, REFIT)


def is_name(text: str) -> bool:
    """Return whether ``text`` could name a trial of some study, so that it is not read as a file."""
    return text in NAMES or text.isdecimal()


def named_trial(study: StudyRecord, text: str, *, expected: Sequence[str] = ()) -> tuple[TrialRecord, Refit | None]:
    """Return the trial meant by ``text``; for ``refit``, the newest finished one with the trial that it retrained.

    That trial then has the candidate, words and weights of the refit.

    Args:
        expected: what else the caller accepts, for the error.

    Raises:
        NotFoundError: the study has no such trial.
        UserError: the text does not name a trial.
    """
    if text == REFIT:
        return _refitted(study)
    if not is_name(text):
        choices = ", ".join((*NAMES, *expected))
        raise UserError(f"expected {choices} or the number of a trial of {study.name!r}, got {text!r}")
    return _found(study, text), None


def _found(study: StudyRecord, text: str) -> TrialRecord:
    there = f"it has {len(study.trials)}, numbered from 0" if study.trials else "it has none yet"
    if text == BEST:
        trial, lacks = study.best, f"complete trial yet; `ftsearch status {study.name}` says how far it is"
    elif text == BASELINE:
        trial, lacks = study.baseline, f"trial of the plain recipe; {there}"
    else:
        numbered = (one for one in study.trials if one.number == int(text))
        trial, lacks = next(numbered, None), f"trial {text}; {there}"
    if trial is None:
        raise NotFoundError(f"the study {study.name!r} has no {lacks}")
    return trial


def chosen_model(study: StudyRecord, text: str) -> tuple[TrialRecord, Refit | None]:
    """Return, as ``named_trial`` does, the trial whose weights are meant.

    ``best`` is the winner's final model. Without one it is the winner as the search trained it, or, as that may be none
    of the ``keep_checkpoints`` best by value, the best trial that keeps its weights.

    Raises:
        NotFoundError, UserError: as ``named_trial``.
    """
    final = final_model(study) if text == BEST else None
    if final is not None:
        return _trained_again(study, final)
    trial, refit = named_trial(study, text)
    if text == BEST and not trial.checkpoint:
        trial = next((one for one in study.ranking if one.checkpoint), trial)
    return trial, refit


def _refitted(study: StudyRecord) -> tuple[TrialRecord, Refit]:
    refit = next((one for one in reversed(study.refits) if one.checkpoint), None)
    if refit is None:
        raise NotFoundError(
            f"the study {study.name!r} has no finished refit; make one with `ftsearch refit {study.name}`"
        )
    return _trained_again(study, refit)


def _trained_again(study: StudyRecord, refit: Refit) -> tuple[TrialRecord, Refit]:
    trial = next((one for one in study.trials if one.number == refit.trial), TrialRecord(-1, refit.state))
    return replace(trial, candidate=refit.candidate, words=refit.words, checkpoint=refit.checkpoint), refit


def with_weights(study: StudyRecord, trial: TrialRecord) -> TrialRecord:
    """Return ``trial`` if its weights were kept.

    Raises:
        UserError: they were not.
    """
    if not trial.checkpoint:
        kept = [one.number for one in study.ranking if one.checkpoint]
        there = f"trials with weights: {', '.join(map(str, kept))}" if kept else "no trial has any"
        raise UserError(
            f"trial {trial.number} of {study.name!r} ({trial.state}) has no weights: only the best complete trials "
            f"keep theirs (`keep_checkpoints`); {there}"
        )
    return trial


def with_candidate(study: StudyRecord, trial: TrialRecord) -> TrialRecord:
    """Return ``trial`` if it has a candidate.

    Raises:
        UserError: it has none yet, or ended before it got one.
    """
    if trial.candidate is None:
        raise UserError(f"trial {trial.number} of {study.name!r} ({trial.state}) has no candidate")
    return trial
