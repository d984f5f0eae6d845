"""Trains one candidate for use."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Unpack

from search.errors import UserError
from search.lifecycle.retrain import check_counts, check_device, run_trainings, searched_study
from search.records.named_trial import BEST, is_name, named_trial, with_candidate
from search.records.study import Json, Refit, StudyRecord
from search.runtime.several_backbones import open_runtimes
from search.spec.candidates import is_file, read_candidate
from search.spec.load import spec_of
from search.store import reading, repeats, writing
from search.store.opening import opened
from search.store.repeats import REFIT, RetrainingRequest
from search.tasks import tasks
from search.trials.refit import DATA, JOINED
from search.trials.resampled import fresh_seed
from search.workers.options import RunKeywords, run_options
from spaces.candidate import Candidate

LONGER = 2
"""Default epochs of a refit, as a multiple of a trial's."""


def refit_study(
    name: str,
    *,
    candidate: str = BEST,
    on: str = JOINED,
    epochs: int | None = None,
    ema: bool = False,
    tta: bool = False,
    **given: Unpack[RunKeywords],
) -> tuple[StudyRecord, Refit]:
    """Train one candidate for use, score it once on the test images, and return the study and the refit.

    The same refit is trained only once: asking again returns the stored one. A different refit scores the test images
    again, and such scores are counted.

    Args:
        candidate: ``best``, ``baseline``, the number of a trial, ``refit`` for the newest one, or a file with a
            candidate's JSON.
        on: ``train+val``, or ``train``: then validation chooses the best epoch.
        epochs: twice the study's by default.
        ema: keep an exponential moving average of the weights; ``tta``: average predictions over views of an image.
        given: the fields of ``RunOptions``, or ``options``, all of them as one value; one process trains it.

    Raises:
        UserError: no such candidate, or one of another backbone; or ``tta`` for a task whose views cannot be averaged.
        NotFoundError: no such study or trial.
    """
    if on not in DATA:
        raise UserError(f"--on: expected {' or '.join(DATA)}, got {on!r}")
    if epochs is not None:
        check_counts(epochs=epochs)
    options = replace(run_options(given), workers=1)
    check_device(options)
    with opened(options.storage, must_exist=True) as engine:
        study = searched_study(engine, name)
        if tta and not tasks()[study.task].averages_views:
            raise UserError(
                f"--tta averages class probabilities over views of an image, and the task {study.task} has none; "
                "leave it out"
            )
        trial, plain, words = _candidate(study, candidate)
        seed = fresh_seed(spec_of(study).search.seed, REFIT)
        count = LONGER * _epochs(study, trial) if epochs is None else epochs
        key = {"trial": trial, "data": on, "epochs": count, "ema": ema, "tta": tta}
        key["candidate"] = Candidate.from_json(plain).fingerprint
        repeats.add(engine, name, REFIT, [RetrainingRequest(key, plain, words, seed)])
        own = repeats.name_of(name, REFIT)
        number = repeats.number_of(engine, own, key)
        writing.retry_failed(engine, own, [number])
        run_trainings(engine, own, name, options)
        study = reading.load_study(engine, name, epochs=False)
        return study, next(refit for refit in study.refits if refit.number == number)


def _epochs(study: StudyRecord, trial: int | None) -> int:
    """Return the number of epochs that the search planned for ``trial``, or for its longest trial."""
    planned = next((one.planned_epochs for one in study.trials if one.number == trial), None)
    if planned:
        return planned
    return spec_of(study).training.most_epochs(study.dataset.samples()["train"])


def _candidate(study: StudyRecord, wanted: str) -> tuple[int | None, Json, str]:
    """Return the trial's number, the candidate and its words; no number for one from a file.

    Raises:
        UserError, SpaceError: there is none, or it is of another backbone or input size.
    """
    if is_name(wanted) or not is_file(wanted):
        trial, refit = named_trial(study, wanted, expected=("a candidate's file",))
        trial = with_candidate(study, trial)
        return trial.number if refit is None else refit.trial, trial.candidate, trial.words
    candidate = read_candidate(Path(wanted))
    space = open_runtimes(spec_of(study), "cpu").space
    space.check(candidate)
    return None, candidate.to_json(), space.words(candidate)
