"""All studies of the store."""

from __future__ import annotations

from collections.abc import Sequence

from dash import dcc, html

from search.dashboard import components
from search.records.study import of_target
from search.report import wording
from search.report.figures import studies_figures
from search.store.reading import Summary

MOST = 12
"""Number of studies compared in figures, the newest: each of them is read completely."""

FIRST = """\
ftsearch init DATA          # writes a study file for your images, texts or tables
ftsearch plan STUDY.yaml    # says what it would search, and what that would cost
ftsearch run STUDY.yaml     # searches; this page shows it as it goes
"""


def page(studies: Sequence[Summary], store: str) -> html.Div:
    """Return the page; ``store`` is the database's address without its password."""
    several = len(studies) > 1
    note = f"The figures compare the {MOST} newest studies." if len(studies) > MOST else ""
    return html.Div(
        [
            html.H1("Studies"),
            html.P(store, className="soft"),
            html.Div(facts(studies), id="facts"),
            html.P(note, className="soft") if note else None,
            *([components.figure(kind) for kind in studies_figures()] if several else []),
        ]
    )


def facts(studies: Sequence[Summary]) -> html.Div:
    """Return the table of studies, which changes while trials run; a sentence while there are none."""
    if not studies:
        return html.Div([html.P("This store holds no study yet. To make one:"), html.Pre(FIRST)])
    head = (
        "study",
        "metric",
        "best",
        "against the plain recipe",
        "trials",
        "running",
        "backbone",
        "task",
        "started (UTC)",
    )
    return components.table(head, [_row(study) for study in studies], cards=True)


def _row(study: Summary) -> tuple[object, ...]:
    progress = study.progress
    gain, best = "–", wording.number(study.best) + (" (leaks)" if study.leak else "")
    if study.best is not None and progress.baseline is not None:
        shown = [round(value, wording.DIGITS) for value in (study.best, progress.baseline)]
        gain = wording.change(shown[0] - shown[1], study.metric)
    states = ", ".join(f"{count} {state.value}" for state, count in progress.states.items())
    return (
        dcc.Link(study.name, href=components.study_path(study.name)),
        wording.metric_name(study.metric),
        html.Span(best, title=study.leak) if study.leak else best,
        gain,
        html.Span(of_target(progress.finished, progress.target), title=states),
        str(progress.unfinished),
        study.backbone,
        study.task,
        f"{study.created_at:%Y-%m-%d %H:%M}",
    )
