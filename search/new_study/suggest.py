"""First candidates for a new data set: the best ones on the most similar data of all studies in a store."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

import yaml

from search.errors import NotFoundError, UserError
from search.new_study.detect import recognise
from search.new_study.recognised import Recognised
from search.records.dataset_similarity import Traits, distance, traits, traits_of
from search.records.study import DatasetRecord, Json, StudyRecord, TrialRecord
from search.report.confirmed import confirmed
from search.runtime.study_record import dataset_record
from search.spec.load import spec_of
from search.store import reading
from search.store.connection import Engine
from search.tasks import tasks
from spaces.candidate import Candidate
from spaces.errors import CandidateError

EACH = 3
"""Most candidates taken from one study: the most similar study need not be the right one."""


@dataclass(frozen=True, slots=True)
class Suggestion:
    """One candidate that was good on similar data.

    Attributes:
        study, trial: its source; ``apart`` is the distance between the two data sets, 0 for equal ones.
        value: its objective there; ``gain`` its lead over the plain recipe; ``confirmed`` whether these are means over
            fresh seeds.
    """

    study: str
    trial: int
    candidate: Candidate
    words: str
    apart: float
    metric: str
    value: float
    gain: float | None
    confirmed: bool


@dataclass(frozen=True, slots=True)
class NewData:
    """Data on which nothing has been trained yet.

    Attributes:
        recognised: which task and format they are for, and the format's options.
    """

    path: Path
    recognised: Recognised
    record: DatasetRecord
    traits: Traits


def describe(path: Path, task: str | None = None) -> NewData:
    """Return the traits of the data at ``path``, found without training; they are detected as by ``init``.

    Raises:
        DataError: they cannot be read.
        UserError: no such task, or the data are of no known kind, or could be for two tasks.
    """
    if task is not None and task not in tasks():
        raise UserError(f"--task: expected one of {', '.join(tasks())}, got {task!r}")
    recognised = recognise(path, task)
    record = dataset_record(recognised.read(), tasks()[recognised.task])
    return NewData(recognised.path.absolute(), recognised, record, traits(recognised.task, record))


def suggest(
    engine: Engine, own: Traits, count: int = 5, *, backbone: str | None = None, leave_out: Sequence[str] = ()
) -> list[Suggestion]:
    """Return up to ``count`` different candidates, of the nearest studies first, each study's best first.

    A study contributes at most ``EACH``, as long as others have any; if its candidates were confirmed with fresh seeds,
    their means decide which is best. The plain recipe is left out: every study begins with it.

    Args:
        backbone: only studies of this one, as ``StudyRecord.backbone`` names it.
        leave_out: names of studies to ignore.

    Raises:
        UserError: the store has no study of the task with a complete trial.
    """
    studies = []
    for summary in reading.list_studies(engine):
        if summary.name not in leave_out and backbone in (None, summary.backbone):
            with suppress(NotFoundError):  # deleted in between, or a name too long to be listed whole
                studies.append(reading.load_study(engine, summary.name, epochs=False))
    near = sorted(((distance(own, traits_of(study)), study) for study in studies), key=lambda item: item[0])
    offers = [list(_best(study, apart)) for apart, study in near if math.isfinite(apart)]
    offers = [offer for offer in offers if offer]
    if not offers:
        what = f"of the task {own.task}" + (f" with the backbone {backbone}" if backbone else "")
        raise UserError(f"no study {what} in this store has a complete trial yet, so there is nothing to learn from")
    ordered = [one for offer in offers for one in offer[:EACH]] + [one for offer in offers for one in offer[EACH:]]
    return _different(ordered)[:count]


def _different(suggestions: Sequence[Suggestion]) -> list[Suggestion]:
    first: dict[str, Suggestion] = {}
    for one in suggestions:
        first.setdefault(one.candidate.fingerprint, one)
    return list(first.values())


def _best(study: StudyRecord, apart: float) -> Iterator[Suggestion]:
    """Yield the candidates of ``study`` that beat its plain recipe, the best first; its best one if none does."""
    fresh = {row.number: row.mean for row in confirmed(study, folds=1, fraction=1.0)}
    sign = 1.0 if study.maximize else -1.0
    baseline = study.baseline
    plain = fresh.get(baseline.number, baseline.value) if baseline is not None else None

    def value(trial: TrialRecord) -> float:
        return fresh.get(trial.number, trial.value or 0.0)

    ranked = [trial for trial in study.ranking if not trial.is_baseline]
    # Confirmed candidates are better known than those seen once: they come first.
    ranked.sort(key=lambda trial: (trial.number not in fresh, -sign * value(trial), trial.number))
    better = [trial for trial in ranked if plain is None or sign * (value(trial) - plain) >= 0] or ranked[:1]
    for trial in better:
        try:
            candidate = Candidate.from_json(trial.candidate)
        except CandidateError:
            continue  # in a format unknown to this version
        gain = None if plain is None else sign * (value(trial) - plain)
        yield Suggestion(
            study.name,
            trial.number,
            candidate,
            trial.words,
            apart,
            study.metric,
            value(trial),
            gain,
            trial.number in fresh,
        )


def write(folder: Path, suggestions: Sequence[Suggestion], data: NewData, studies: Engine) -> Path:
    """Write every suggestion as a candidate's JSON and a study file that begins with them; return that file's path.

    The study file is that of the nearest study, with the new data, so that its space holds that study's candidates.
    Candidates for another backbone are written too, but the file, which has one backbone, lists only its own.

    Raises:
        UserError: the folder cannot be written, or holds a study file already.
    """
    path = folder / "study.yaml"
    if path.exists():
        raise UserError(f"{path} exists; name another folder with -o")
    first = suggestions[0].candidate.structure
    plain = _study(reading.load_study(studies, suggestions[0].study, trials=False), folder.absolute().name, data)
    names = [f"{index:02d}-{one.study}-{one.trial}.json" for index, one in enumerate(suggestions, 1)]
    used = [
        name for name, one in zip(names, suggestions, strict=True) if one.candidate.structure.backbone == first.backbone
    ]
    plain["search"] = {**plain["search"], "warm_start": used}
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for name, one in zip(names, suggestions, strict=True):
            (folder / name).write_text(json.dumps(one.candidate.to_json(), indent=2) + "\n", encoding="utf-8")
        path.write_text(yaml.safe_dump(plain, sort_keys=False), encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write to {folder}: {error.strerror}; name another folder with -o") from error
    return path


def _study(near: StudyRecord, name: str, data: NewData) -> dict[str, Json]:
    """Return the study file of ``near`` for the new data, as plain data."""
    plain = spec_of(near).to_json()
    plain["name"] = "".join(letter if letter.isalnum() or letter in "._-" else "-" for letter in name).strip("-._")[:64]
    plain["name"] = plain["name"] or "suggested"
    plain["data"] = {"format": data.recognised.format, "path": str(data.path), **data.recognised.options}
    plain["search"] = {key: value for key, value in plain["search"].items() if value is not None}
    return {key: value for key, value in plain.items() if value is not None}
