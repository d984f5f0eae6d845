"""Whether a search's result is real: candidates trained again with fresh seeds, and once more for use.

from search.lifecycle.confirm import confirm_study, refit_study

study = confirm_study("quickstart", top=3, seeds=5)
refit_study("quickstart", candidate="best", ema=True)
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path

from search import api
from search.errors import NotFoundError, UserError
from search.records.study import Json, Refit, StudyRecord, TrialRecord
from search.runtime.several_backbones import open_laboratories
from search.spec.candidates import read_candidate
from search.spec.load import from_data
from search.store import DEFAULT_URL, connection, migrate, reading, repeats, writing
from search.store.connection import Engine
from search.store.repeats import CONFIRM, REFIT, Wanted
from search.training.precision import device_of
from search.trials.refit import DATA, JOINED
from search.trials.resampled import fresh_seed
from search.trials.trial import Observer
from search.workers import launchers
from search.workers.launchers import Order, Placement
from search.workers.shutdown import Leaving, obeying_signals
from spaces.candidate import Candidate

LONGER = 2
"""A refit trains so many times as many epochs as a trial may, if nobody says how many."""


def confirm_study(
    name: str,
    *,
    storage: str = DEFAULT_URL,
    top: int = 3,
    seeds: int = 5,
    folds: int = 1,
    fractions: Sequence[float] = (1.0,),
    retry: bool = False,
    only_enter: bool = False,
    workers: int | None = None,
    device: str = "auto",
    data: Path | None = None,
    artifacts: str | None = None,
    observer: Observer | None = None,
    placement: Placement | None = None,
) -> StudyRecord:
    """Train the ``top`` best candidates and the plain recipe again with fresh seeds, and return the study with them.

    What has been trained already is kept: asking for more seeds, folds, fractions or candidates adds what is missing.
    All candidates get the same seeds, folds and draws of labels, so that they are compared in pairs. None of it is a
    trial: samplers, rankings and counts of the search stay as they are.

    Args:
        folds: of training and validation images together; 1 keeps the study's own validation images.
        fractions: shares of the training images, 1 for all.
        retry: put trainings that failed back into the queue.
        only_enter: leave the work to workers of the study that are there, or come later.
        workers, device, data, artifacts, observer, placement: as in ``run_study`` and ``join_study``.

    Raises:
        UserError: a number without sense, more folds than a class has images, no complete trial.
        NotFoundError: no such study.
    """
    _check(top=top, seeds=seeds, folds=folds)
    shares = _fractions(fractions)
    _check_place(device, placement or Placement())
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        study = _search(engine, name)
        _check_folds(study, folds)
        wanted = list(_confirmations(study, _chosen(study, top), seeds, folds, shares))
        repeats.add(engine, name, CONFIRM, wanted)
        own = repeats.name_of(name, CONFIRM)
        if retry:
            writing.retry_failed(engine, own)
        if not only_enter:
            _run(engine, own, name, storage, workers, device, data, artifacts, observer, placement)
        return reading.load_study(engine, name, epochs=False)
    finally:
        engine.dispose()


def refit_study(
    name: str,
    *,
    storage: str = DEFAULT_URL,
    candidate: str = "best",
    on: str = JOINED,
    epochs: int | None = None,
    ema: bool = False,
    tta: bool = False,
    device: str = "auto",
    data: Path | None = None,
    artifacts: str | None = None,
    observer: Observer | None = None,
) -> tuple[StudyRecord, Refit]:
    """Train one candidate for use, score it once on the test images, and return the study and what came of it.

    The same refit is trained once: asking again gives what is stored. Another one looks at the test images again,
    which is counted.

    Args:
        candidate: ``best``, the number of a trial, or a file with a candidate's JSON.
        on: ``train+val``, or ``train``: then validation chooses the best epoch.
        epochs: twice the study's by default.
        ema: keep an exponential moving average of the weights; ``tta``: average predictions over views of an image.

    Raises:
        UserError: no such candidate, or one of another backbone.
        NotFoundError: no such study or trial.
    """
    if on not in DATA:
        raise UserError(f"--on: expected {' or '.join(DATA)}, got {on!r}")
    if epochs is not None:
        _check(epochs=epochs)
    _check_place(device, Placement())
    engine = connection.connect(storage)
    try:
        migrate.upgrade(engine)
        study = _search(engine, name)
        trial, plain, words = _candidate(study, candidate)
        plan = dict(study.spec["study"])
        seed = fresh_seed(int(plan["search"]["seed"]), REFIT)
        count = LONGER * int(plan["training"]["epochs"]) if epochs is None else epochs
        key = {"trial": trial, "data": on, "epochs": count, "ema": ema, "tta": tta}
        key["candidate"] = Candidate.from_json(plain).fingerprint
        repeats.add(engine, name, REFIT, [Wanted(key, plain, words, seed)])
        own = repeats.name_of(name, REFIT)
        number = repeats.number_of(engine, own, key)
        writing.retry_failed(engine, own, [number])
        _run(engine, own, name, storage, 1, device, data, artifacts, observer, None)
        study = reading.load_study(engine, name, epochs=False)
        return study, next(refit for refit in study.refits if refit.number == number)
    finally:
        engine.dispose()


def _check(**numbers: int) -> None:
    for name, number in numbers.items():
        if number < 1:
            raise UserError(f"--{name} must be at least 1, got {number}")


def _check_place(device: str, where: Placement) -> None:
    """Refuse a device or engine that is not there before anything is entered that others would train."""
    if launchers.engine_of(where.engine).name == "local":
        try:
            device_of(device)
        except ValueError as error:
            raise UserError(str(error)) from error


def _fractions(given: Sequence[float]) -> tuple[float, ...]:
    wrong = [share for share in given if not 0 < share <= 1]
    if wrong or not given:
        got = f"{wrong[0]:g}" if wrong else "none"
        raise UserError(f"--fractions: a share of the training samples is above 0 and at most 1, got {got}")
    return tuple(sorted({float(share) for share in given}, reverse=True))


def _check_folds(study: StudyRecord, folds: int) -> None:
    if folds == 1:
        return
    counts: Counter[str] = Counter()
    for split in ("train", "val"):
        counts.update(study.dataset.counts.get(split, {}))
    label, least = min(counts.items(), key=lambda item: item[1], default=("", folds))
    if least < folds:
        raise UserError(
            f"--folds {folds}: the class {label!r} has {least} {study.dataset.noun} in training and validation "
            f"together; at most {least} folds are possible"
        )


def _search(engine: Engine, name: str) -> StudyRecord:
    """Return the study ``name`` without curves, if it is a search."""
    study = reading.load_study(engine, name, epochs=False)
    if study.parent:
        raise UserError(f"{name!r} holds trainings of the study {study.parent!r}; name that study")
    return study


def _chosen(study: StudyRecord, top: int) -> list[TrialRecord]:
    """Return the plain recipe, where there is one, and the ``top`` best trials that are another candidate."""
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


def _confirmations(
    study: StudyRecord, trials: Sequence[TrialRecord], seeds: int, folds: int, fractions: Sequence[float]
) -> Iterator[Wanted]:
    """Yield every training, seed by seed, so that what is done at any time can be compared in pairs."""
    study_seed = int(study.spec["study"]["search"]["seed"])
    for seed in range(1, seeds + 1):
        for fraction in fractions:
            for fold in range(1, folds + 1):
                for trial in trials:
                    key = {"trial": trial.number, "seed": seed, "fold": fold, "folds": folds, "fraction": fraction}
                    own = fresh_seed(study_seed, f"{CONFIRM} {seed}")
                    yield Wanted(key, trial.candidate, trial.words, own, is_baseline=trial.is_baseline)


def _candidate(study: StudyRecord, wanted: str) -> tuple[int | None, Json, str]:
    """Return the trial's number, the candidate and its words; no number for one from a file.

    Raises:
        UserError, SpaceError: there is none, or it is of another backbone or input size.
    """
    if wanted != "best" and not wanted.isdigit():
        if not wanted.endswith(".json") and not Path(wanted).exists():
            raise UserError(f"--candidate: expected best, the number of a trial or a candidate's file, got {wanted!r}")
        plain = read_candidate(Path(wanted))
        spec = from_data(study.spec["study"], text=study.spec_text, base=Path(study.spec["base"]))
        space = open_laboratories(spec, "cpu").space
        candidate = Candidate.from_json(plain)
        space.check(candidate)
        return None, plain, space.words(candidate)
    trial = study.best if wanted == "best" else next((one for one in study.trials if str(one.number) == wanted), None)
    if trial is None and wanted == "best":
        raise UserError(f"the study {study.name!r} has no complete trial yet; name a trial or a candidate's file")
    if trial is None:
        raise NotFoundError(f"no trial {wanted} in the study {study.name!r}; it has {len(study.trials)}, from 0 on")
    if trial.candidate is None:
        raise UserError(f"trial {trial.number} of {study.name!r} has no candidate: it ended before it was given one")
    return trial.number, trial.candidate, trial.words


def _run(
    engine: Engine,
    own: str,
    name: str,
    storage: str,
    workers: int | None,
    device: str,
    data: Path | None,
    artifacts: str | None,
    observer: Observer | None,
    placement: Placement | None,
) -> None:
    """Work on the trainings called ``own`` of the study ``name`` until all are done, or until told to leave."""
    progress = reading.progress(engine, own)
    if not progress.unfinished:
        return
    study = reading.load_study(engine, name, trials=False)
    watching = observer or api.Silent()
    watching.study_opened(study.metric, maximize=study.maximize, progress=progress)
    where = placement or Placement()
    folder = api.writable(Path("runs") / name)
    count = workers or launchers.default_count(where, device)
    if count == 1 and where.engine == "local":
        api.join_study(
            own,
            storage=storage,
            device=device,
            data=data,
            folder=folder,
            observer=watching,
            artifacts=artifacts,
            proxy=where.proxy,
        )
        return
    leaving = Leaving()
    with obeying_signals(leaving):
        launchers.run_workers(Order(own, storage, folder, device, where, data), count, engine, watching, leaving)
