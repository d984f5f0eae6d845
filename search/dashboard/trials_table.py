"""The table of a study's trials: its columns and the contents of a row; AG Grid draws the rows that are scrolled to."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import dash_ag_grid
from dash import dcc, html

from search.dashboard import components
from search.dashboard._grid_script import LETTERS, THEME
from search.records.plain_text import numbered
from search.records.study import StudyRecord, TrialRecord
from search.records.uncertainty import SHARES
from search.report import front, parameters, ranking_table, tables, wording
from search.report.gain import lead_over_plain
from search.report.origin import found_by

_SHORT = 25
"""Up to this many rows the table is as high as they are; beyond that it takes most of the screen."""
_BLOCK = 100
"""Rows that a browser asks for at a time."""
_ROW, _HEADER = 38, 48
"""Heights in pixels."""
_NUMBER = {"type": "rightAligned", "filter": "agNumberColumnFilter"}
NOTHING = {"id": "none", "words": "No trial is like this.", "text": {}}
"""The row of a table without any: of an answer that has none, the component does not recover."""
_HIDDEN = ("rank", "best_epoch", "trained", "worker", "started", "found_by")


def columns(study: StudyRecord) -> list[dict[str, Any]]:
    """Return AG Grid's definitions of the columns; what every trial has first, then parameters, which are hidden."""
    metric, points = wording.metric_name(study.metric), study.metric in SHARES
    fixed = [
        _column("trial", "trial", 76, **_NUMBER, pinned="left", cellRenderer="Trial", suppressHeaderFilterButton=True),
        _column("value", metric, 116, **_NUMBER),
        _column("gain", "gain, points" if points else "gain", 124, **_NUMBER, headerTooltip="over the plain recipe"),
        _column("state", "state", 240, cellRenderer="State"),
        _column("strip", "structure", 190, cellRenderer="Strip", sortable=False, filter=False),
        _column("parameters", "params", 104, **_NUMBER),
        _column("flops", "FLOPs", 104, **_NUMBER),
        *(_column(f"objective {name}", label, 120, **_NUMBER) for name, label in _objectives(study).items()),
        _column("seconds", "time", 110, **_NUMBER),
        _column("words", "candidate", 420, flex=1, minWidth=240, tooltipField="words"),
        _column("rank", "rank", 90, **_NUMBER),
        _column("trained", "trained params", 150, **_NUMBER),
        _column("best_epoch", "best epoch", 130, **_NUMBER),
        _column("found_by", "found by", 190),
        _column("worker", "worker", 150),
        _column("started", "started (UTC)", 180),
    ]
    return fixed + [_parameter(name, study.trials) for name in _parameters(study)]


def _column(field: str, name: str, width: int, **more: Any) -> dict[str, Any]:
    return {"field": field, "headerName": name, "width": width, "hide": field in _HIDDEN, **more}


def _parameter(name: str, trials: Sequence[TrialRecord]) -> dict[str, Any]:
    values = (trial.params[name] for trial in trials if name in trial.params)
    number = _NUMBER if all(isinstance(one, int | float) and not isinstance(one, bool) for one in values) else {}
    return _column(f"param {name}", parameters.label(name), 150, **number) | {"hide": True}


def _parameters(study: StudyRecord) -> list[str]:
    return sorted({name for trial in study.trials for name in trial.params})


def _objectives(study: StudyRecord) -> dict[str, str]:
    """Return the objectives that no other column has, with their names for people."""
    return {one.name: front.name(one, study.metric) for one in study.objectives[1:] if one.name not in front.EVERYWHERE}


def rows(study: StudyRecord) -> list[dict[str, Any]]:
    """Return a row per trial, in the order of the ranking: numbers to sort by, and their ``text`` as shown."""
    best, metric = study.best, study.metric
    constant = ranking_table.constant_parts(study.trials)
    objectives, points = _objectives(study), 100 if metric in SHARES else 1
    table = []
    for rank, trial in ranking_table.ordered(study):
        lead, size = lead_over_plain(study, trial), trial.size
        numbers: dict[str, tuple[float | None, str]] = {
            "rank": (rank, str(rank)),
            "value": (_rounded(trial.value), wording.number(trial.value)),
            "gain": (
                _rounded(None if lead is None else points * lead),
                wording.change(lead, metric).removesuffix(" points") if lead is not None else "",
            ),
            "parameters": (size.parameters, wording.count(size.parameters)) if size else (None, ""),
            "trained": (size.trained, wording.count(size.trained)) if size else (None, ""),
            "flops": (size.flops, wording.count(size.flops)) if size else (None, ""),
            "seconds": (_rounded(trial.seconds or None), wording.duration(trial.seconds)),
            "best_epoch": (trial.best_epoch, str(trial.best_epoch)),
        }
        for name in objectives:
            if (value := trial.objectives.get(name)) is not None:
                numbers[f"objective {name}"] = value, front.cell(name, value)
        shown = {name: pair for name, pair in numbers.items() if wording.finite(pair[0])}
        table.append(
            {
                "id": str(trial.number),
                "trial": trial.number,
                "state": trial.state.value,
                "marks": _marks(trial, best),
                "strip": _letters(size.unit_states) if size else "",
                "words": ranking_table.without(trial.words, constant) or trial.ended,
                "found_by": found_by(trial),
                "worker": trial.worker,
                "started": _moment(trial.started_at),
                **{f"param {name}": parameters.value(value) for name, value in trial.params.items()},
                **{name: value for name, (value, _) in shown.items()},
                "text": {name: text for name, (value, text) in shown.items() if text != str(value)},
            }
        )
    return table


def _letters(states: Sequence[str]) -> str:
    """Return a letter a unit, a capital where it was edited."""
    letters = (LETTERS.get(text.partition(": ")[0], "e") for text in states)
    return "".join(letter.upper() if ": " in text else letter for letter, text in zip(letters, states, strict=True))


def _rounded(value: float | None) -> float | None:
    """Return ``value`` in as many digits as tell trials apart: of thousands all are sent."""
    return None if value is None else round(value, 7)


def _marks(trial: TrialRecord, best: TrialRecord | None) -> list[str]:
    broken = [f"breaks {text}" for text in trial.broken]
    return ["winner"] * (trial is best) + ["plain recipe"] * trial.is_baseline + broken


def _moment(when: datetime | None) -> str:
    return f"{when:%Y-%m-%d %H:%M:%S}" if when else ""


def table(study: StudyRecord) -> html.Div:
    """Return the table, with its search field and its picker of columns; the browser asks for its rows."""
    defined, is_short = columns(study), len(study.trials) <= _SHORT
    choices = [{"label": one["headerName"], "value": one["field"]} for one in defined if one["field"] != "trial"]
    options: dict[str, Any] = {
        "theme": {"function": THEME},
        "rowSelection": {
            "mode": "multiRow",
            "headerCheckbox": False,
            "enableClickSelection": False,
            "isRowSelectable": {"function": "isTrial(params)"},
        },
        "selectionColumnDef": {"pinned": "left", "width": 46, "resizable": False, "suppressHeaderMenuButton": True},
        "context": {"study": components.study_path(study.name)},
        "cacheBlockSize": _BLOCK,
        "maxConcurrentDatasourceRequests": 1,  # the component knows only the last one's
        "infiniteInitialRowCount": len(study.trials),
        "rowHeight": _ROW,
        "headerHeight": _HEADER,
        "enableCellTextSelection": True,
        "ensureDomOrder": True,
        "tooltipShowDelay": 300,
        "animateRows": False,
    }
    return html.Div(
        [
            html.P(summary(study), className="soft", id="trials-summary"),
            dcc.Store(id="brushed"),
            dcc.Store(id="ticked"),
            html.P(id="brushed-words", role="status"),
            html.Div(
                [
                    html.Label("Search", htmlFor="trials-search", className="soft"),
                    dcc.Input(
                        id="trials-search", type="search", value="", debounce=0.3, placeholder="SGD, pruned, 5x5 ..."
                    ),
                    html.Details(
                        [
                            html.Summary("Columns"),
                            dcc.Checklist(
                                choices,
                                [one["field"] for one in defined if not one["hide"] and one["field"] != "trial"],
                                id="trials-columns",
                                persistence=study.name,
                                persistence_type="local",
                            ),
                        ],
                        className="picker",
                    ),
                ],
                className="view",
            ),
            html.Div(  # keeps the place before the table has loaded: nothing below moves when it comes
                dash_ag_grid.AgGrid(
                    id="trials",
                    columnDefs=defined,
                    rowModelType="infinite",
                    defaultColDef={
                        "sortable": True,
                        "resizable": True,
                        "filter": True,
                        "cellDataType": False,  # a column's own type would format its numbers
                        "valueFormatter": {"function": "shownText(params)"},
                    },
                    getRowId="params.data.id",
                    dashGridOptions=options,
                    eventListeners={
                        "cellKeyDown": ["openTrial(params)"],
                        "modelUpdated": ["rowsCame(params)"],
                        "selectionChanged": ["rowsTicked(params)"],
                    },
                    style={"height": "100%", "width": "100%"},
                ),
                className="trials",
                style={"height": _HEADER + _ROW * len(study.trials) + 20} if is_short else {},
            ),
        ]
    )


def summary(study: StudyRecord) -> str:
    """Return the line above the table: how many trials there are, and what all candidates have in common."""
    return f"{tables.states(study)}. {ranking_table.shared(study)}".rstrip()


def brushed_words(count: int) -> str:
    """Return what the table says of itself while a figure's brushes filter it."""
    return f"{numbered(count, 'trials')} inside the brushes; a double click in the figure below lists all again."


TICKED = """function (ticked, picked, path) {
  const same = window.dash_clientside.no_update, name = decodeURIComponent((path || '').split('/')[2] || '');
  if (!ticked) return same;
  const api = window.dash_ag_grid.getApi('trials');
  const before = (picked || {})[name] || [];
  // Trials whose rows are not here have no tick that could have been taken away.
  const chosen = [...new Set([...ticked, ...before.filter(number => !api.getRowNode(String(number)))])]
    .sort((a, b) => a - b);
  return chosen.join() === before.join() ? same : Object.assign({}, picked, {[name]: chosen});
}"""
TICK = """function (...given) {
  const [picked, path] = given.slice(-2);
  window.ftsearch.tick((picked || {})[decodeURIComponent((path || '').split('/')[2] || '')] || []);
}"""
ASK_AGAIN = "function () { window.ftsearch.grid(api => api.purgeInfiniteCache()); }"
RENEW = """function () {
  if (document.getElementById('trials')) window.ftsearch.grid(api => api.refreshInfiniteCache());
}"""
SHOW_COLUMNS = """function (chosen) {
  window.ftsearch.grid(api => {
    const fields = api.getColumns().map(column => column.getColId())
      .filter(id => id !== 'trial' && !id.startsWith('ag-'));
    api.setColumnsVisible(fields.filter(id => !chosen.includes(id)), false);
    api.setColumnsVisible(fields.filter(id => chosen.includes(id)), true);
  });
}"""
"""What runs in the browser: ticks to the trials that are compared and back, rows anew, the picker of columns."""
