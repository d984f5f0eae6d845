"""Filters of trials, kept in the page's address, so that every view is a link."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime, time
from urllib.parse import parse_qsl, urlencode

from search.records.study import StudyRecord, TrialRecord, TrialState

_PARAMETER = "p."
_BEYOND = 2**31


@dataclass(frozen=True, slots=True)
class Filters:
    """Conditions, all of which a trial must meet.

    Attributes:
        states: one of these; any if empty.
        ranges: parameter -> lowest and highest value, either of which may be open (None).
        words: parameter -> the accepted values.
        since, until: first and last day (UTC) of the trial's start.
    """

    states: tuple[TrialState, ...] = ()
    ranges: Mapping[str, tuple[float | None, float | None]] = field(default_factory=dict)
    words: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    since: date | None = None
    until: date | None = None

    @property
    def is_empty(self) -> bool:
        return self == Filters()

    def apply(self, study: StudyRecord) -> StudyRecord:
        """Return ``study`` with the trials that meet all conditions."""
        if self.is_empty:
            return study
        return replace(study, trials=tuple(trial for trial in study.trials if self._lets(trial)))

    def _lets(self, trial: TrialRecord) -> bool:
        if self.states and trial.state not in self.states:
            return False
        if not self._lets_date(trial.started_at):
            return False
        for name, (low, high) in self.ranges.items():
            value = trial.params.get(name)
            if not isinstance(value, int | float):
                return False
            if (low is not None and value < low) or (high is not None and value > high):
                return False
        return all(name in trial.params and str(trial.params[name]) in kept for name, kept in self.words.items())

    def _lets_date(self, begun: datetime | None) -> bool:
        if self.since is None and self.until is None:
            return True
        if begun is None:
            return False
        after = self.since is None or begun >= datetime.combine(self.since, time.min, UTC)
        return after and (self.until is None or begun <= datetime.combine(self.until, time.max, UTC))

    def to_query(self) -> str:
        """Return the conditions as a query string; ``read`` understands it."""
        pairs: list[tuple[str, str]] = [("state", state.value) for state in self.states]
        if self.since:
            pairs.append(("since", self.since.isoformat()))
        if self.until:
            pairs.append(("until", self.until.isoformat()))
        for name, ends in sorted(self.ranges.items()):
            pairs.append((_PARAMETER + name, range_text(*ends)))
        pairs += [(_PARAMETER + name, value) for name, kept in sorted(self.words.items()) for value in kept]
        return urlencode(pairs)


def read(query: str) -> Filters:
    """Return the conditions in a query string; what cannot be understood is ignored."""
    states: list[TrialState] = []
    ranges: dict[str, tuple[float | None, float | None]] = {}
    words: dict[str, list[str]] = defaultdict(list)
    days: dict[str, date | None] = {}
    for key, value in parse_qsl(query.lstrip("?")):
        if key == "state" and value in {state.value for state in TrialState}:
            states.append(TrialState(value))
        elif key in ("since", "until"):
            days[key] = day(value)
        elif key.startswith(_PARAMETER):
            ends = read_range(value)
            if ends is not None:
                ranges[key.removeprefix(_PARAMETER)] = ends
            else:
                words[key.removeprefix(_PARAMETER)].append(value)
    kept = {name: tuple(values) for name, values in words.items()}
    return Filters(tuple(states), ranges, kept, days.get("since"), days.get("until"))


def of_inputs(
    states: Sequence[TrialState] | None,
    since: str | None,
    until: str | None,
    values: Mapping[str, list[str] | str | None],
) -> Filters:
    """Return the conditions of a page's inputs: ranges as text (``2..5``), words as lists."""
    ranges, words = {}, {}
    for name, value in values.items():
        if isinstance(value, list):
            if value:
                words[name] = tuple(value)
        elif value and (ends := read_range(value, bare=True)) is not None:
            ranges[name] = ends
    return Filters(tuple(states or ()), ranges, words, day(since or ""), day(until or ""))


def number_of(text: str) -> int | None:
    """Return the trial number in an address; None for other text, and for numbers larger than a database can hold."""
    text = text.strip()
    number = int(text) if text.isascii() and text.isdigit() and len(text) < 12 else _BEYOND
    return number if number < _BEYOND else None


def read_range(text: str, *, bare: bool = False) -> tuple[float | None, float | None] | None:
    """Return the ends of ``2..5``, ``..5`` or ``2..``, and with ``bare`` of a single number; None for other text."""
    low, dots, high = text.strip().partition("..")
    if not dots:
        if not bare:
            return None
        high = low
    try:
        ends = (float(low) if low.strip() else None, float(high) if high.strip() else None)
    except ValueError:
        return None
    return None if ends == (None, None) else ends


def range_text(low: float | None, high: float | None) -> str:
    """Return the text that ``read_range`` understands."""
    return f"{'' if low is None else format(low, 'g')}..{'' if high is None else format(high, 'g')}"


def day(text: str) -> date | None:
    """Return the day of ``2026-01-31``; None for anything else."""
    try:
        return date.fromisoformat(text.strip())
    except ValueError:
        return None
