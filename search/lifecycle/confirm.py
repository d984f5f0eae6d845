"""Confirmation of a search's result: candidates retrained with fresh seeds."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Unpack

from search.errors import UserError
from search.lifecycle.retrain import check_counts, check_device, run_trainings, searched_study
from search.records.study import StudyRecord, TrialRecord
from search.spec.load import spec_of
from search.store import reading, repeats, writing
from search.store.opening import opened
from search.store.repeats import CONFIRM
from search.tasks import tasks
from search.tasks._base import Task
from search.trials import confirmation
from search.workers.options import RunKeywords, run_options


def confirm_study(
    name: str,
    *,
    top: int = 3,
    seeds: int = 5,
    folds: int = 1,
    fractions: Sequence[float] = (1.0,),
    retry: bool = False,
    only_enter: bool = False,
    **given: Unpack[RunKeywords],
) -> StudyRecord:
    """Retrain the ``top`` best candidates and the plain recipe with fresh seeds; return the study with the results.

    Finished trainings are kept: asking for more seeds, folds, fractions or candidates adds what is missing.
    All candidates get the same seeds, folds and draws of labels, so that they are compared in pairs. None of the
    trainings is a trial: samplers, rankings and counts of the search are unaffected.

    Args:
        folds: of training and validation images together; 1 keeps the study's own validation images.
        fractions: shares of the training images, 1 for all.
        retry: put trainings that failed back into the queue.
        only_enter: leave the work to the study's present or later workers.
        given: the fields of ``RunOptions``, or ``options``, all of them as one value.

    Raises:
        UserError: a number out of range, more folds than a class has images, no complete trial.
        NotFoundError: no such study.
    """
    check_counts(top=top, seeds=seeds, folds=folds)
    shares = _fractions(fractions)
    options = run_options(given)
    check_device(options)
    with opened(options.storage, must_exist=True) as engine:
        study = searched_study(engine, name)
        _check_folds(study, folds)
        study_seed = spec_of(study).search.seed
        wanted = list(confirmation.requests(study_seed, _chosen(study, top), seeds, folds, shares))
        repeats.add(engine, name, CONFIRM, wanted)
        own = repeats.name_of(name, CONFIRM)
        if retry:
            writing.retry_failed(engine, own)
        if not only_enter:
            run_trainings(engine, own, name, options)
        return reading.load_study(engine, name, epochs=False)


def _fractions(given: Sequence[float]) -> tuple[float, ...]:
    wrong = [share for share in given if not 0 < share <= 1]
    if wrong or not given:
        got = f"{wrong[0]:g}" if wrong else "none"
        raise UserError(f"--fractions: a share of the training samples is above 0 and at most 1, got {got}")
    return tuple(sorted({float(share) for share in given}, reverse=True))


def _check_folds(study: StudyRecord, folds: int) -> None:
    """Refuse more folds than the smallest class has samples, or, without single classes, than there are samples."""
    if folds == 1:
        return
    counts: Counter[str] = Counter()
    task = tasks().get(study.task)
    if task is not None and type(task).kinds is Task.kinds:
        for split in ("train", "val"):
            counts.update(study.dataset.counts.get(split, {}))
    label, least = min(counts.items(), key=lambda item: item[1], default=("", 0))
    whose = f"the class {label!r} has"
    if not counts:
        sizes = study.dataset.samples()
        whose, least = "there are", sizes.get("train", 0) + sizes.get("val", 0)
    if least < folds:
        raise UserError(
            f"--folds {folds}: {whose} {least} {study.dataset.noun} in training and validation together; at most "
            f"{least} folds are possible"
        )


def _chosen(study: StudyRecord, top: int) -> list[TrialRecord]:
    """Return the plain recipe, if there is one, and the ``top`` best trials with other candidates."""
    if not study.ranking:
        raise UserError(
            f"the study {study.name!r} has no complete trial yet, so there is nothing to confirm; "
            f"`ftsearch status {study.name}` says how far it is"
        )
    baseline = study.baseline
    chosen = [baseline] if baseline is not None and baseline.candidate is not None else []
    seen = [trial.candidate for trial in chosen]
    for trial in study.ranking:
        if trial.candidate not in seen and not trial.is_baseline:
            chosen.append(trial)
            seen.append(trial.candidate)
        if len(chosen) - (baseline in chosen) == top:
            break
    return chosen
