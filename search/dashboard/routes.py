"""The browser's requests and their answers: pages, their changing parts, figures."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from dash import no_update

from search.dashboard import components, grid_request, running, trials_table
from search.dashboard.filters import number_of, read
from search.dashboard.pages import compare, overview, study, trial, workers
from search.dashboard.study_cache import StudyCache
from search.errors import FinetuneError, NotFoundError
from search.records.study import StudyRecord
from search.report.figures import figures, parallel_coordinates, studies_figures, trials_figures
from search.report.figures._base import Drawing, Figure, Need, StudiesFigure, TrialsFigure
from search.store import aggregates

_REMEMBERED = 64
"""Number of drawings kept, so that a reload draws nothing again."""
_REST, _LONGEST_REST_S = 5.0, 60.0
"""A study's changes are announced only after so many times what drawing its last ones took, and so many seconds."""


@dataclass(frozen=True, slots=True)
class Address:
    """The content of an address.

    Attributes:
        kind: ``overview``, ``study``, ``trial``, ``compare``, ``workers`` or ``unknown``.
    """

    kind: str
    study: str = ""
    trial: int = -1
    query: str = ""

    @classmethod
    def of(cls, path: str | None, query: str | None) -> Address:
        """Read a path and a query string."""
        path, query = (text if isinstance(text, str) else "" for text in (path, query))  # browsers may send anything
        names = [unquote(part) for part in path.strip("/").split("/")]
        match names:
            case [""]:
                return cls("overview", query=query)
            case ["workers"]:
                return cls("workers", query=query)
            case ["study", name]:
                return cls("study", name, query=query)
            case ["study", name, "compare"]:
                return cls("compare", name, query=query)
            case ["study", name, "trial", text] if (number := number_of(text)) is not None:
                return cls("trial", name, number, query)
        return cls("unknown")

    @property
    def title(self) -> str:
        """What the browser's tab is called: the most telling word first, for tabs are narrow."""
        names = {
            "overview": "Studies",
            "workers": "Workers",
            "study": self.study,
            "trial": f"Trial {self.trial} · {self.study}",
            "compare": f"{', '.join(map(str, self.numbers))} compared · {self.study}",
        }
        return f"{names[self.kind]} – ftsearch" if self.kind in names else "ftsearch"

    @property
    def numbers(self) -> list[int]:
        """The trials shown side by side."""
        return [self.trial] if self.kind == "trial" else compare.numbers_of(self.query)


@dataclass(slots=True)
class Pages:
    """Answers the browser; keeps the last drawings so that a reload draws nothing again."""

    cache: StudyCache
    store: str
    _listed: tuple[object, list[dict[str, Any]]] | None = None
    _learnt: tuple[object, list[Any]] | None = None
    _brushable: tuple[object, parallel_coordinates.Rows | None] | None = None
    _drawn: OrderedDict[tuple[object, ...], components.Shown] = field(default_factory=OrderedDict)
    _rests_until: dict[str, float] = field(default_factory=dict)

    def page(self, address: Address, picked: list[int]) -> Any:
        """Return the page at ``address``; if there is none, one that says why."""
        try:
            return self._page(address, picked)
        except FinetuneError as error:
            return components.nothing("Nothing here", str(error))

    def _page(self, address: Address, picked: list[int]) -> Any:
        match address.kind:
            case "overview":
                return overview.page(self.cache.summaries(), self.store)
            case "workers":
                return workers.page(aggregates.workers(self.cache.engine))
            case "study":
                record = self._current(self.cache.study(address.study))
                return study.page(record, address.query, lambda name: self.drawing(address, name, 0), picked)
            case "trial":
                return trial.page(self.cache.chosen(address.study, [address.trial]), address.trial)
            case "compare":
                return compare.page(self.cache.chosen(address.study, address.numbers), address.numbers)
        return components.nothing("Nothing here", "No page has this address.")

    def pulse(self, address: Address) -> str:
        """Return a text that changes whenever the page at ``address`` has something new to show."""
        if address.study:
            return f"{address.study} {self.cache.version(address.study)}"
        if address.kind == "workers":
            return str(hash(aggregates.workers(self.cache.engine)))
        return str(hash(tuple(_summed(summary) for summary in self.cache.summaries())))

    def opened(self, address: Address) -> str:
        """Return the pulse of a page that is opened; empty where there is nothing that could change."""
        try:
            return self.pulse(address)
        except FinetuneError:
            return ""

    def announced(self, address: Address, before: str | None) -> str:
        """Return the pulse for a page that knows the one ``before``: the same while its study rests."""
        rests = before and time.monotonic() < self._rests_until.get(address.study, 0.0)
        return before if before and rests else self.pulse(address)

    @contextmanager
    def _counted(self, name: str) -> Iterator[None]:
        """Let the study ``name`` rest after what is done here: of thousands of trials, it takes seconds."""
        begin = time.monotonic()
        yield
        now = time.monotonic()
        until = max(self._rests_until.get(name, now), now) + _REST * (now - begin)
        self._rests_until[name] = min(until, now + _LONGEST_REST_S)

    def facts(self, address: Address) -> Any:
        """Return the part of a page that changes while trials run."""
        if address.kind == "overview":
            return overview.facts(self.cache.summaries())
        if address.kind == "workers":
            return workers.facts(aggregates.workers(self.cache.engine))
        if address.kind == "study":
            filters, section = read(address.query), study.section_of(address.query)
            shown = self._current(filters.apply(self.cache.study(address.study)))
            return study.facts(shown, section, live=filters.is_empty)
        if address.kind == "trial":
            record = self.cache.chosen(address.study, [address.trial])
            return [part for one in record.trials if one.number == address.trial for part in trial.facts(record, one)]
        return no_update

    def _current(self, record: StudyRecord) -> StudyRecord:
        """Return a study with the curves of its running trials."""
        return self.cache.with_curves(record, [trial.number for trial in running.shown(record)])

    def learnt(self, address: Address) -> Any:
        """Return what the search learnt, computed once for every state of the study."""
        key = (address, self.pulse(address))
        if self._learnt is None or self._learnt[0] != key:
            record = read(address.query).apply(
                self.cache.study(address.study, (Need.SPACES, Need.DETAILS, Need.EPOCHS))
            )
            with self._counted(address.study):
                self._learnt = (key, study.learnt(record))
        return self._learnt[1]

    def trials(self, address: Address) -> StudyRecord:
        """Return a study with what the table of its trials shows."""
        return read(address.query).apply(self.cache.study(address.study, [Need.STRUCTURES]))

    def listed(
        self, address: Address, asked: grid_request.Request, search: str, brushed: list[tuple[int, float]]
    ) -> dict[str, Any]:
        """Return the rows of the table of trials that a browser asks for, made once for every state of the study."""
        key = (address, self.pulse(address))
        if self._listed is None or self._listed[0] != key:
            self._listed = (key, trials_table.rows(self.trials(address)))
        rows = self._listed[1]
        if brushed:
            inside = set(self.brushed(address, brushed))
            rows = [row for row in rows if row["trial"] in inside]
        found = grid_request.answer(rows, asked, search)
        return found if found["rowCount"] else {"rowData": [trials_table.NOTHING], "rowCount": 1}

    def brushed(self, address: Address, points: list[tuple[int, float]]) -> list[int]:
        """Return the trials that go through all ``points`` that were brushed in the parallel coordinates."""
        key = (address, self.pulse(address))
        if self._brushable is None or self._brushable[0] != key:
            self._brushable = (key, self._rows(address, parallel_coordinates.figure))
        rows = self._brushable[1]
        return [] if rows is None else rows.inside(self.trials(address).trials, points)

    def drawing(self, address: Address, name: str, view: int) -> components.Shown:
        """Return the figure ``name`` of a page as it is now."""
        kind = _kinds().get(name)
        if kind is None:
            raise NotFoundError(f"no figure is called {name!r}")
        pulse = self.pulse(address)
        key = (address, name, view, pulse)
        drawn = self._drawn.get(key)
        if drawn is None:
            revision = f"{address.kind} {address.study} {address.query} {view}"
            with self._counted(address.study):
                drawn = components.shown(kind.draw(self._rows(address, kind)), view, f"{pulse} {view}", revision)
            self._drawn[key] = drawn
            while len(self._drawn) > _REMEMBERED:
                self._drawn.popitem(last=False)
        return drawn

    def _rows(self, address: Address, kind: Drawing) -> Any:
        if isinstance(kind, StudiesFigure):
            names = [summary.name for summary in self.cache.summaries()[: overview.MOST]]
            return kind.rows([self.cache.study(name) for name in names])
        if isinstance(kind, TrialsFigure):
            return kind.rows(self.cache.chosen(address.study, address.numbers), address.numbers)
        if isinstance(kind, Figure):
            return kind.rows(read(address.query).apply(self.cache.study(address.study, kind.needs)))
        raise TypeError(f"{kind.name} is a figure of nothing that is known here")


def _kinds() -> dict[str, Drawing]:
    return {kind.name: kind for kind in (*figures(), *studies_figures(), *trials_figures())}


def _summed(summary: Any) -> tuple[object, ...]:
    progress = summary.progress
    return summary.name, progress.target, summary.best, progress.baseline, tuple(sorted(progress.states.items()))
