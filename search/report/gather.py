"""Reads a study with what pages show of it, however many trials it has."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from search.records.study import EpochRecord, StudyRecord, TrialRecord
from search.report import shown_trials
from search.report.figures import figures
from search.report.figures._base import Need
from search.store import aggregates
from search.store.connection import Engine

EVERYTHING = frozenset({need for figure in figures() for need in figure.needs})


def gather(engine: Engine, name: str) -> StudyRecord:
    """Return the study ``name`` with all its trials, and the curves, structures and evaluations of the shown ones.

    Raises:
        NotFoundError: no such study; suggests the nearest name.
    """
    return completed(engine, aggregates.outline(engine, name), EVERYTHING)


def completed(engine: Engine, study: StudyRecord, needs: Iterable[Need]) -> StudyRecord:
    """Return ``study``, an outline, completed with the data that figures with these ``needs`` read."""
    wanted = set(needs)
    if Need.EPOCHS in wanted or Need.CURVES in wanted:
        study = with_epochs_run(study, aggregates.epochs_run(engine, study.name))
    if Need.SPACES in wanted:
        spaces = aggregates.spaces(engine, study.name, study.trials)
        study = replace(study, trials=tuple(aggregates.with_spaces(trial, spaces) for trial in study.trials))
    if Need.DETAILS in wanted:
        study = with_details(study, aggregates.details(engine, study.name, shown_trials.for_details(study)))
    if Need.CURVES in wanted:
        study = with_curves(study, aggregates.curves(engine, study.name, shown_trials.for_curves(study)))
    return study


def chosen(engine: Engine, study: StudyRecord, numbers: Sequence[int]) -> StudyRecord:
    """Return ``study``, an outline, with the trials ``numbers`` complete."""
    study = with_details(study, aggregates.details(engine, study.name, numbers))
    return with_curves(study, aggregates.curves(engine, study.name, numbers))


def with_epochs_run(study: StudyRecord, counts: Mapping[int, int]) -> StudyRecord:
    """Return ``study`` with the number of epochs each trial ran."""
    trials = tuple(
        replace(trial, extras={**trial.extras, shown_trials.EPOCHS_RUN: counts.get(trial.number, 0)})
        for trial in study.trials
    )
    return replace(study, trials=trials)


def with_details(study: StudyRecord, details: Mapping[int, TrialRecord]) -> StudyRecord:
    """Return ``study`` with ``details``, full trials by number, in place of outlines; curves and counts stay."""
    trials = tuple(
        replace(details[trial.number], epochs=trial.epochs, extras={**details[trial.number].extras, **trial.extras})
        if trial.number in details
        else trial
        for trial in study.trials
    )
    return replace(study, trials=trials)


def with_curves(study: StudyRecord, curves: Mapping[int, tuple[EpochRecord, ...]]) -> StudyRecord:
    """Return ``study`` with ``curves``, the epochs of trials by number."""
    trials = tuple(
        replace(trial, epochs=curves[trial.number]) if trial.number in curves else trial for trial in study.trials
    )
    return replace(study, trials=trials)
