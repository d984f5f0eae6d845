"""Current studies: read in outline once, then only their changes."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace

from search.errors import FinetuneError, NotFoundError
from search.records.study import EpochRecord, StudyRecord, TrialRecord
from search.report import gather, shown_trials
from search.report.figures._base import Need
from search.store import aggregates, reading
from search.store.connection import Engine
from search.store.reading import Summary

logger = logging.getLogger(__name__)
_AHEAD = 100_000
"""Most trials of the newest studies to read when the dashboard starts."""
_LARGEST = 2**31 - 1
"""Largest trial number that every database accepts."""
_FRESH_S = 1.0
"""Seconds within which requests share one query of the database."""


@dataclass(slots=True)
class _CachedStudy:
    """A study as far as it has been read; ``version`` counts the changes seen."""

    head: StudyRecord
    trials: dict[int, TrialRecord]
    version: int = 1
    looked_at: float = 0.0
    has: set[Need] = field(default_factory=set)
    counts: dict[int, int] = field(default_factory=dict)
    structures: dict[int, tuple[str, ...]] = field(default_factory=dict)
    spaces: dict[str, str] = field(default_factory=dict)
    details: dict[int, TrialRecord] = field(default_factory=dict)
    curves: dict[int, tuple[EpochRecord, ...]] = field(default_factory=dict)
    built: tuple[int, StudyRecord] | None = None
    lock: threading.RLock = field(default_factory=threading.RLock)


class StudyCache:
    """Reads studies for pages; safe to use from several threads.

    After the first look, an update reads only new rows: numbers above the last one seen, trials that are or were open,
    and what figures need of those.
    """

    def __init__(self, engine: Engine) -> None:
        self.engine = engine
        self._studies: dict[str, _CachedStudy] = {}
        self._lock = threading.Lock()
        self._first_looks: dict[str, threading.Lock] = {}

    def summaries(self) -> tuple[Summary, ...]:
        """Return a summary of every study, the newest first."""
        return reading.list_studies(self.engine)

    def warm_up(self) -> None:
        """Read the newest studies in advance, in a background thread."""
        threading.Thread(target=self._read_ahead, name="dashboard-warm-up", daemon=True).start()

    def _read_ahead(self) -> None:
        left = _AHEAD
        try:
            for summary in self.summaries():
                left -= sum(summary.progress.states.values())
                if left < 0:
                    return
                self._current(summary.name)
        except FinetuneError as error:
            logger.warning("reading ahead: %s", error)  # opening a page reports it again

    def version(self, name: str) -> int:
        """Return a number that changes whenever the study does.

        Raises:
            NotFoundError: no such study.
        """
        return self._current(name).version

    def study(self, name: str, needs: Iterable[Need] = ()) -> StudyRecord:
        """Return the current study, with the data that figures with these ``needs`` read.

        The evaluations of the best trials are always among them: which of these is the winner, they decide.

        Raises:
            NotFoundError: no such study.
        """
        cached = self._current(name)
        with cached.lock:
            missing = {Need.DETAILS, *needs} - cached.has
            if missing:
                cached.has |= missing
                self._complete(cached, cached.trials, missing)
                cached.built = None
            return self._built(cached)

    def with_curves(self, study: StudyRecord, numbers: Sequence[int]) -> StudyRecord:
        """Return ``study`` with the curves of the running trials ``numbers``; every epoch of theirs now is a change."""
        if not numbers:
            return study
        self.study(study.name, [Need.EPOCHS])
        return gather.with_curves(study, aggregates.curves(self.engine, study.name, numbers))

    def chosen(self, name: str, numbers: Iterable[int]) -> StudyRecord:
        """Return the study with the existing trials among ``numbers`` complete."""
        asked = {number for number in numbers if 0 <= number <= _LARGEST}
        return gather.chosen(self.engine, self.study(name), sorted(asked))

    def _current(self, name: str) -> _CachedStudy:
        if not name.isprintable():  # half a surrogate pair, or NUL: drivers raise errors of their own
            raise NotFoundError(f"no study {name!r} in this store")
        with self._lock:
            cached = self._studies.get(name)
        if cached is None:
            return self._first_look(name)
        with cached.lock:
            if time.monotonic() - cached.looked_at > _FRESH_S:
                self._look(cached)
                cached.looked_at = time.monotonic()
        return cached

    def _first_look(self, name: str) -> _CachedStudy:
        """Read a study in outline, once, however many ask for it at the same time."""
        with self._lock:
            only = self._first_looks.setdefault(name, threading.Lock())
        with only:
            with self._lock:
                cached = self._studies.get(name)
            if cached is None:
                outline = aggregates.outline(self.engine, name)
                cached = _CachedStudy(replace(outline, trials=()), {trial.number: trial for trial in outline.trials})
                cached.looked_at = time.monotonic()
                with self._lock:
                    self._studies[name] = cached
            return cached

    def _look(self, cached: _CachedStudy) -> None:
        last = max(cached.trials, default=-1)
        unfinished = [number for number, trial in cached.trials.items() if not trial.state.is_finished]
        head = aggregates.head(self.engine, cached.head.name)
        if head != cached.head:  # more trials were asked for
            cached.head, cached.built = head, None
            cached.version += 1
        seen = aggregates.changes(self.engine, cached.head.name, last, unfinished)
        running = {trial.number for trial in seen if not trial.state.is_finished}
        changed = {trial.number: trial for trial in seen if not _is_same(cached.trials.get(trial.number), trial)}
        grown = self._grown(cached, running - set(changed))
        if not changed and not grown:
            return
        for number in (*changed, *grown):
            cached.details.pop(number, None)
            cached.curves.pop(number, None)
        merged = changed | {number: cached.trials[number] for number in grown}
        cached.trials |= changed
        cached.version += 1
        cached.built = None
        self._complete(cached, merged, cached.has)

    def _grown(self, cached: _CachedStudy, running: set[int]) -> set[int]:
        """Return the trials that have run an epoch since the last look but are otherwise unchanged."""
        if Need.EPOCHS not in cached.has and Need.CURVES not in cached.has:
            return set()
        if not running:
            return set()
        counts = aggregates.epochs_run(self.engine, cached.head.name, min(running) - 1)
        return {number for number in running if counts.get(number, 0) != cached.counts.get(number, 0)}

    def _complete(self, cached: _CachedStudy, trials: dict[int, TrialRecord], needs: Iterable[Need]) -> None:
        """Read what ``needs`` require of ``trials``, and of trials that are newly shown."""
        name, wanted = cached.head.name, set(needs)
        if trials and wanted & {Need.EPOCHS, Need.CURVES}:
            cached.counts |= aggregates.epochs_run(self.engine, name, min(trials) - 1)
        if trials and Need.STRUCTURES in wanted:
            cached.structures |= aggregates.structures(self.engine, name, min(trials) - 1)
        if Need.SPACES in wanted:
            unknown = [trial for trial in trials.values() if not set(trial.params) <= set(cached.spaces)]
            cached.spaces |= aggregates.spaces(self.engine, name, unknown) if unknown else {}
        for number, trial in trials.items():
            cached.trials[number] = _merged(cached, trial)
        if wanted & {Need.DETAILS, Need.CURVES}:
            study = self._built(cached)
            shown = shown_trials.for_details(study) if Need.DETAILS in cached.has else []
            new = [number for number in shown if number not in cached.details]
            cached.details |= aggregates.details(self.engine, name, new) if new else {}
            drawn = shown_trials.for_curves(study) if Need.CURVES in cached.has else []
            late = [number for number in drawn if number not in cached.curves]
            cached.curves |= aggregates.curves(self.engine, name, late) if late else {}
            for number in {*new, *late}:
                cached.trials[number] = _merged(cached, cached.trials[number])
            cached.built = None

    @staticmethod
    def _built(cached: _CachedStudy) -> StudyRecord:
        if cached.built is None or cached.built[0] != cached.version:
            trials = tuple(cached.trials[number] for number in sorted(cached.trials))
            cached.built = (cached.version, replace(cached.head, trials=trials))
        return cached.built[1]


def _is_same(before: TrialRecord | None, now: TrialRecord) -> bool:
    """Return whether nothing of a trial's outline has changed."""
    if before is None:
        return False
    facts = ("state", "value", "attempts", "worker", "words", "best_epoch", "ended", "finished_at", "checkpoint")
    return all(getattr(before, name) == getattr(now, name) for name in facts)


def _merged(cached: _CachedStudy, trial: TrialRecord) -> TrialRecord:
    number, extras = trial.number, dict(trial.extras)
    whole = cached.details.get(number)
    if whole is not None:
        trial = replace(trial, candidate=whole.candidate, size=whole.size, evaluation=whole.evaluation)
    elif trial.size is not None and number in cached.structures:
        trial = replace(trial, size=replace(trial.size, unit_states=cached.structures[number]))
    if number in cached.counts:
        extras[shown_trials.EPOCHS_RUN] = cached.counts[number]
    ranges = {name: cached.spaces[name] for name in trial.params if name in cached.spaces}
    return replace(trial, extras=extras, epochs=cached.curves.get(number, ()), distributions=ranges)
