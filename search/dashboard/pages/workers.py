"""Workers of the store: what each runs, and what it has done."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dash import dcc, html

from search.dashboard import components
from search.report import wording
from search.store.aggregates import WorkerActivity


def page(workers: Sequence[WorkerActivity]) -> html.Div:
    """Return the page."""
    return html.Div([html.H1("Workers"), html.Div(facts(workers), id="facts")])


def facts(workers: Sequence[WorkerActivity]) -> list[Any]:
    """Return the table of workers, which changes while they run."""
    if not workers:
        return [html.P("No worker has claimed a trial yet.")]
    busy = sum(bool(worker.running) for worker in workers)
    head = ("worker", "runs now", "finished", "failed", "device time", "last trial ended (UTC)")
    rows = [
        (
            worker.name,
            html.Span(_running(worker)) if worker.running else "–",
            str(worker.finished),
            str(worker.failed),
            wording.duration(worker.seconds),
            f"{worker.last:%Y-%m-%d %H:%M:%S}" if worker.last else "–",
        )
        for worker in workers
    ]
    note = f"{len(workers)} workers have claimed trials, {busy} of them hold one now."
    more = "A study's page shows its workers over time, under the section workers."
    return [html.P(f"{note} {more}", className="soft"), components.table(head, rows, cards=True)]


def _running(worker: WorkerActivity) -> list[Any]:
    links: list[Any] = []
    for study, number in worker.running:
        links += [dcc.Link(f"{study} trial {number}", href=components.trial_path(study, number)), " "]
    return links
