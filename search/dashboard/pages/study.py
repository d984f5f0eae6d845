"""One study: its result, figures by section, the ranking."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import UTC, datetime
from typing import Any
from urllib.parse import parse_qs

from dash import dcc, html

from search.dashboard import components, running, trials_table
from search.dashboard.filters import Filters, range_text, read
from search.records.study import StudyRecord, TrialState
from search.report import confirmed, parameters, structures, tables, theme
from search.report import front as fronts
from search.report import headline as headlines
from search.report.figures import figures
from search.report.figures._base import Figure, Section
from search.report.findings import findings

_LOOKED_AT = 2000
"""Number of trials from which the filters' hints are taken."""
_WORDS_MOST = 40
"""Most values of a parameter that can be filtered by."""


def section_of(query: str) -> Section:
    """Return the section named in an address; by default the first."""
    wanted = parse_qs(query.lstrip("?")).get("tab", [""])[0]
    return next((section for section in Section if section.value == wanted), Section.PROGRESS)


def kinds(study: StudyRecord, section: Section) -> list[Figure]:
    """Return the figures of ``section`` that ``study`` may fill; of its winner's results, those that there are."""
    if len(study.trials) >= study.target and all(trial.state is TrialState.FAILED for trial in study.trials):
        return []
    found = [kind for kind in figures() if kind.section is section and kind.is_for(study)]
    if section is not Section.CLASSES or study.best is None:
        return found
    return [kind for kind in found if kind.rows(study) is not None]


def page(
    study: StudyRecord, query: str, draw: Callable[[str], components.Shown] | None, picked: Collection[int]
) -> html.Div:
    """Return the page of ``study``; ``draw``, if given, draws the first figure of the section, by its name."""
    conditions, section = read(query), section_of(query)
    kept, is_table = conditions.apply(study), section is Section.TRIALS
    listed = kinds(kept, section)
    # Nobody waits for a figure below the table to see it.
    first = draw(listed[0].name) if draw is not None and listed and not is_table else None
    notes = [html.P(note, className="warn") for note in tables.warnings(study)]
    return html.Div(
        [
            html.H1(study.name),
            html.P(tables.subtitle(study), className="soft"),
            html.Div(facts(kept, section, live=conditions.is_empty), id="facts"),
            *notes,
            *([html.Div(id="learnt")] if section is Section.PROGRESS else []),
            _filters(study, conditions),
            components.tabs(study.name, list(Section), section, conditions.to_query()),
            _picks(study.name, picked),
            *([trials_table.table(kept)] if is_table else []),
            *[components.figure(kind, None if place else first) for place, kind in enumerate(listed)],
            html.Div(front(kept), id="front"),
            *([*_confirmations(study), *_failures(study)] if section is Section.PROGRESS else []),
            _downloads(study.name, conditions.to_query()),
            html.Details([html.Summary("Study file"), html.Pre(study.spec_text)]),
        ]
    )


def facts(study: StudyRecord, section: Section = Section.PROGRESS, *, live: bool = True) -> list[Any]:
    """Return the parts that change while trials run: the result and the numbers, in a line above later sections.

    What runs is left out unless ``live``: of a study that is filtered, it would count some of the trials as all.
    """
    now = running.parts(study, datetime.now(UTC)) if live else []
    if section is not Section.PROGRESS:
        return [_in_brief(study), *now]
    return [
        html.Section(_headline(study), className="headline", **components.aria(label="Result")),
        *now,
        components.tiles(study),
        *(
            html.P(
                [f"{note} (", dcc.Link(f"trial {number}", href=components.trial_path(study.name, number)), ")"],
                className="warn",
            )
            for note, number in tables.failure_notes(study)
        ),
    ]


def _in_brief(study: StudyRecord) -> html.P:
    headline = headlines.headline(study)
    if headline is None or study.best is None:
        return html.P(headlines.sentence(study))
    link = dcc.Link(headline.name, href=components.trial_path(study.name, study.best.number))
    values = [html.Span(headline.values)] if headline.gain else []
    shown = [html.B(headline.gain or headline.values), *_badge(headline), *values, link]
    return html.P(shown, className="gain brief")


def _badge(headline: headlines.Headline) -> list[html.Span]:
    return [html.Span(headline.badge, className=f"badge {headline.proof.name.lower()}")] if headline.badge else []


def _headline(study: StudyRecord) -> list[Any]:
    headline = headlines.headline(study)
    if headline is None or study.best is None:
        return [html.P(headlines.sentence(study))]
    strip = [html.I(cell.short, className=cell.state, title=cell.words) for cell in headline.strip]
    words = structures.words(headline.strip)
    return [
        html.P([html.B(headline.gain or headline.values), *_badge(headline)], className="gain"),
        *(html.P(line) for line in headline.lines),
        *([html.Div(strip, className="strip", role="img", **components.aria(label=words))] if strip else []),
        *([html.P(words, className="name")] if strip else []),
        html.P(
            [dcc.Link(headline.name, href=components.trial_path(study.name, study.best.number)), f": {headline.words}"],
            className="name",
        ),
    ]


def learnt(study: StudyRecord) -> list[Any]:
    """Return what the search learnt, in sentences."""
    lines = findings(study)
    return [html.H2("What the search learnt"), html.Ul([html.Li(line) for line in lines])] if lines else []


def _confirmations(study: StudyRecord) -> list[Any]:
    lines = confirmed.lines(study)
    if not lines:
        return []
    note = html.P(confirmed.HOW_TO_READ, className="soft")
    return [html.H2("Confirmation"), note, components.table(confirmed.HEAD, lines, cards=True)]


def _failures(study: StudyRecord) -> list[Any]:
    failed = tables.failures(study)
    if not failed:
        return []
    shown = [
        (kind, dcc.Link(number, href=components.trial_path(study.name, int(number))), message)
        for kind, number, message in failed[: components.ROWS]
    ]
    more = len(failed) - len(shown)
    note = [html.P(f"{more} further failures are not listed.", className="soft")] if more else []
    head = ("kind", "trial", "reason")
    return [html.H2("Failures"), components.table(head, shown, ("", "", "words"), cards=True), *note]


def front(study: StudyRecord) -> list[Any]:
    """Return the trials that no other beats in all objectives; nothing for a study with a single one."""
    lines = fronts.rows(study)
    if not lines:
        return []
    head = fronts.columns(study)
    rows = [(dcc.Link(line[0], href=components.trial_path(study.name, int(line[0]))), *line[1:]) for line in lines]
    return [
        html.H2(fronts.HEADING),
        html.P(fronts.sentence(study), className="soft"),
        components.table(head, rows[: components.ROWS], ("",) * (len(head) - 1) + ("words",), cards=True),
    ]


def _picks(study: str, picked: Collection[int]) -> html.Div:
    return html.Div(
        [
            dcc.Link(
                compare_text(picked), href=components.compare_path(study, picked), id="compare", className="button"
            ),
            html.Button("Clear", id={"type": "clear", "name": "picks"}, n_clicks=0),
            html.Span("Tick trials in their table, or select points in a figure.", className="soft"),
        ],
        className="view",
    )


def compare_text(picked: Collection[int]) -> str:
    """Return the label of the link to the comparison."""
    return f"Compare {len(picked)} trials" if picked else "Compare trials"


def _downloads(study: str, query: str) -> html.P:
    files = (("trials.csv", "CSV"), ("trials.json", "JSON"), ("report.html", "HTML report"))
    links: list[Any] = ["Download: "]
    for file, label in files:
        filtered = "" if file == "report.html" else query
        links += [html.A(label, href=components.download_path(study, file, filtered)), " · "]
    return html.P(links[:-1])


def _filters(study: StudyRecord, conditions: Filters) -> html.Details:
    inputs: list[Any] = [
        html.Div(
            [
                html.Span("State", className="soft"),
                dcc.Checklist(
                    [state.value for state in TrialState],
                    [state.value for state in conditions.states],
                    id="filter-state",
                    inline=True,
                ),
            ]
        ),
        _field("since", "Started since (UTC day)", conditions.since, "2026-01-31"),
        _field("until", "Started until (UTC day)", conditions.until, "2026-12-31"),
    ]
    values: dict[str, list[Any]] = {}
    for trial in theme.thinned_items(study.trials, _LOOKED_AT):
        for name, value in trial.params.items():
            values.setdefault(name, []).append(value)
    for name in sorted(values):
        control = _parameter(name, values[name], conditions)
        if control is not None:
            inputs.append(control)
    return html.Details(
        [
            html.Summary("Filter trials" if conditions.is_empty else "Filter trials (active)"),
            html.Div(inputs, className="filters"),
            html.Button("Apply", id="filter-apply", n_clicks=0),
            " ",
            html.A("Show all", href=components.study_path(study.name), className="button"),
        ],
        open=not conditions.is_empty,
        id="filters",
    )


def _field(name: str, label: str, value: object, hint: str) -> html.Div:
    entry = dcc.Input(id=f"filter-{name}", type="text", value=str(value or ""), placeholder=hint, debounce=True)
    return html.Div([html.Label(label, htmlFor=f"filter-{name}", className="soft"), entry])


def _parameter(name: str, values: Sequence[Any], conditions: Filters) -> html.Div | None:
    own = {"type": "filter", "name": name}
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        known = conditions.ranges.get(name)
        hint = range_text(float(min(values)), float(max(values)))
        entry: Any = dcc.Input(id=own, type="text", value=range_text(*known) if known else "", placeholder=hint)
    else:
        words = sorted({str(value) for value in values})
        if not 2 <= len(words) <= _WORDS_MOST:
            return None
        entry = dcc.Dropdown(words, list(conditions.words.get(name, ())), id=own, multi=True)
    return html.Div([html.Span(parameters.label(name), className="soft", title=name), entry])
