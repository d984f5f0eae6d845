"""Two or more trials side by side."""

from __future__ import annotations

from collections.abc import Sequence
from urllib.parse import parse_qs

from dash import dcc, html

from search.dashboard import components
from search.dashboard.filters import number_of
from search.records.study import StudyRecord
from search.report import tables

MOST = 12


def numbers_of(query: str) -> list[int]:
    """Return the trials that an address names, at most twelve, each once, in order."""
    text = parse_qs(query.lstrip("?")).get("trials", [""])[0]
    numbers = {number_of(part) for part in text.split(",")}
    return sorted(number for number in numbers if number is not None)[:MOST]


def page(study: StudyRecord, numbers: Sequence[int]) -> html.Div:
    """Return the comparison of trials ``numbers``, which are complete in ``study``."""
    trials = [trial for trial in study.trials if trial.number in set(numbers)]
    back = html.P(dcc.Link(study.name, href=components.study_path(study.name)))
    if len(trials) < 2:
        return html.Div(
            [back, html.H1("Compare trials"), html.P("Tick two or more trials in the study's ranking to compare them.")]
        )
    head = ("what", *(f"trial {trial.number}" for trial in trials))
    links = ("", *(dcc.Link("open", href=components.trial_path(study.name, trial.number)) for trial in trials))
    rows = [links, *((row.what, *row.values) for row in tables.differences(trials))]
    words = [tables.difference_words(trials[0], trial) for trial in trials[1:]]
    return html.Div(
        [
            back,
            html.H1(f"{len(trials)} trials compared"),
            html.Ul([html.Li(line) for line in words]),
            html.H2("Differences"),
            components.table(head, rows),
            *components.trials_figures_of(study, [trial.number for trial in trials]),
        ]
    )
