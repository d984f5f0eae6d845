"""Components of pages."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from dash import dcc, html

from search.records.study import StudyRecord, TrialRecord
from search.report import tables, theme
from search.report.figures import trials_figures
from search.report.figures._base import Drawing, Section

CONFIG: Any = {"displaylogo": False, "responsive": True, "toImageButtonOptions": {"scale": 2}}
_BLANK = {
    "paper_bgcolor": "rgba(0,0,0,0)",
    "plot_bgcolor": "rgba(0,0,0,0)",
    "xaxis": {"visible": False},
    "yaxis": {"visible": False},
}
_HEIGHT = 380
"""Pixels of a figure that is not drawn yet."""
_GRAPH: Any = {"config": CONFIG, "className": "plot"}
ROWS = 25
"""Rows of a table on a page; more are not listed."""


@dataclass(frozen=True, slots=True)
class Shown:
    """A drawing for the browser: plain data, the labels of its views, and the version it was drawn from."""

    figure: dict[str, Any]
    views: tuple[str, ...]
    version: str


def shown(drawing: Any, view: int, version: str, revision: str) -> Shown:
    """Return ``drawing`` in its ``view``; zoom and selection stay while ``revision`` does."""
    views = theme.without_menu(drawing, view)
    figure = json.loads(drawing.to_json())
    figure["layout"]["uirevision"] = revision
    figure["layout"].pop("template", None)
    return Shown(figure, tuple(label for label, _ in views), version)


def new_figure(figure: dict[str, Any], *, keep_ranges: bool) -> dict[str, Any]:
    """Return the input of `UPDATE_FIGURE`: ``figure``, and whether the axes' ranges stay as the reader left them."""
    return {"figure": figure, "keep_ranges": keep_ranges}


UPDATE_FIGURE = """function (update, shown) {
  if (!update) return window.dash_clientside.no_update;
  const figure = update.figure, before = (shown || {}).layout || {};
  if (!update.keep_ranges) return figure;
  const layout = Object.assign({}, figure.layout);
  for (const axis of Object.keys(layout).filter(name => /^[xy]axis/.test(name))) {
    const {range, autorange} = before[axis] || {};
    layout[axis] = Object.assign({}, layout[axis]);
    delete layout[axis].range; delete layout[axis].autorange;
    if (range !== undefined) layout[axis].range = range;
    if (autorange !== undefined) layout[axis].autorange = autorange;
  }
  return {data: figure.data, layout: layout};
}"""
"""Runs in the browser: Dash's `Patch` logs an error if the reader has left the page before the response arrives, and
sending the shown figure to the server would cost as much as the new one."""


UPDATED = """function (ticks, pulse) {
  const own = window.ftsearch, now = Date.now();
  if (pulse !== own.pulse) { own.pulse = pulse; own.changed = now; }
  if (!pulse) return '';
  const seconds = Math.round((now - own.changed) / 1000);
  return 'updated ' + (seconds < 60 ? seconds + ' s' : Math.round(seconds / 60) + ' min') + ' ago';
}"""
"""How long ago what the page shows has changed, or was first shown."""


MOUNT = """function (seen, own) {
  if (!seen || document.querySelector(`.one[data-figure="${own.name}"] .plot`)) return window.dash_clientside.no_update;
  const props = Object.assign(PROPS, {id: {type: 'figure', name: own.name}});
  return {namespace: 'dash_core_components', type: 'Graph', props: props};
}""".replace("PROPS", json.dumps({"figure": {"data": [], "layout": {"height": _HEIGHT, **_BLANK}}, **_GRAPH}))
"""Runs in the browser: a first figure brings 4.8 MB of Plotly along, so none is there before it is scrolled to."""


def figure(kind: Drawing, first: Shown | None = None) -> html.Section:
    """Return a figure's container; drawn at once from ``first``, else as soon as it is scrolled to."""
    views = first.views if first else ()
    named: Any = {"data-figure": kind.name}
    return html.Section(
        [
            html.H2(kind.title, id=f"title-{kind.name}"),
            html.P(kind.how_to_read, className="soft"),
            html.Div(
                [
                    html.Label("View", htmlFor=f"view-{kind.name}", className="soft"),
                    dcc.Dropdown(
                        options(views or ("view",)),
                        0,
                        id={"type": "view", "name": kind.name},
                        clearable=False,
                        className="choice",
                    ),
                ],
                id={"type": "views", "name": kind.name},
                className="view",
                style={} if len(views) > 1 else {"display": "none"},
            ),
            html.Div(
                html.Div(
                    dcc.Graph(id={"type": "figure", "name": kind.name}, figure=first.figure, **_GRAPH)
                    if first
                    else html.Div(style={"height": _HEIGHT}),
                    id={"type": "plot", "name": kind.name},
                    style={"minWidth": kind.least_width} if kind.least_width else {},
                ),
                role="group",
                className="wide",
                **aria(labelledby=f"title-{kind.name}"),
            ),
            dcc.Store(id={"type": "drawn", "name": kind.name}, data=first.version if first else ""),
            dcc.Store(id={"type": "update", "name": kind.name}),
            dcc.Store(id={"type": "seen", "name": kind.name}, data=first is not None),
        ],
        className="one",
        **named,
    )


def trials_figures_of(study: StudyRecord, numbers: Sequence[int]) -> list[html.Section]:
    """Return the figures on the trials ``numbers`` of ``study``; once all have ended, only those that hold anything."""
    ended = all(trial.state.is_finished for trial in study.trials if trial.number in set(numbers))
    return [figure(kind) for kind in trials_figures() if not ended or kind.rows(study, numbers) is not None]


def aria(**names: str) -> Any:
    """Return ``aria-...`` attributes."""
    return {f"aria-{name}": value for name, value in names.items()}


def options(views: Sequence[str]) -> list[dict[str, Any]]:
    """Return the options of the menu of a figure's views."""
    return [{"label": label, "value": index} for index, label in enumerate(views)]


def tiles(study: StudyRecord) -> html.Div:
    """Return the numbers at the top of a page."""
    return html.Div(
        [html.Div([html.B(value), html.Span(label)], className="tile") for value, label in tables.facts(study)],
        className="tiles",
    )


def table(
    head: Sequence[str], rows: Iterable[Sequence[Any]], classes: Sequence[str] = (), *, cards: bool = False
) -> html.Div:
    """Return a table that on narrow screens scrolls sideways, or is a card a row."""
    named = [*classes, *[""] * (len(head) - len(classes))]
    labels: list[Any] = [{"data-label": name} for name in head]
    body = [
        html.Tr([html.Td(cell, className=own, **label) for cell, own, label in zip(row, named, labels, strict=True)])
        for row in rows
    ]
    return html.Div(
        html.Table([html.Thead(html.Tr([html.Th(name, scope="col") for name in head])), html.Tbody(body)]),
        className="scroll cards" if cards else "scroll",
        tabIndex=0,
    )


def study_path(name: str) -> str:
    """Return the address of a study's page."""
    return f"/study/{quote(name, safe='')}"


def trial_path(study: str, number: int) -> str:
    """Return the address of a trial's page."""
    return f"{study_path(study)}/trial/{number}"


def compare_path(study: str, numbers: Iterable[int]) -> str:
    """Return the address of the page that compares trials."""
    return f"{study_path(study)}/compare?trials={','.join(map(str, sorted(set(numbers))))}"


def download_path(study: str, file: str, query: str = "") -> str:
    """Return the address of a file to download."""
    return f"/download/{quote(study, safe='')}/{file}" + (f"?{query}" if query else "")


def trial_link(study: str, trial: TrialRecord) -> dcc.Link:
    """Return a link to a trial's page."""
    return dcc.Link(f"trial {trial.number}", href=trial_path(study, trial.number))


def tabs(study: str, sections: Sequence[Section], current: Section, query: str) -> html.Nav:
    """Return links to the sections of a study's page, with the filters kept."""
    links = []
    for section in sections:
        address = f"{study_path(study)}?tab={section.value}" + (f"&{query}" if query else "")
        here = aria(current="page") if section is current else {}
        links.append(html.A(section.value, href=address, className="part here" if here else "part", **here))
    return html.Nav(links, className="tabs", **aria(label="Sections"))


def nothing(title: str, text: str) -> html.Div:
    """Return a page that holds only a sentence."""
    return html.Div([html.H1(title), html.P(text), html.P(dcc.Link("All studies", href="/"))])
