"""Every figure draws every kind of study, strange ones too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import plotly.graph_objects as go
import pytest

from search.records.study import ClassResult, Evaluation, StudyRecord, TrialState
from search.report import theme
from search.report.figures import figures, studies_figures, trials_figures
from search.report.figures._base import Drawing, Figure, Need, StudiesFigure, TrialsFigure


@pytest.fixture(params=figures(), ids=lambda figure: figure.name)
def figure(request: pytest.FixtureRequest) -> Figure:
    found: Figure = request.param
    return found


def failed(study: StudyRecord) -> StudyRecord:
    return replace(study, trials=tuple(replace(trial, state=TrialState.FAILED, value=None) for trial in study.trials))


def unnumbered(study: StudyRecord) -> StudyRecord:
    trials = tuple(
        replace(trial, epochs=tuple(replace(epoch, metrics={"accuracy": math.nan}) for epoch in trial.epochs))
        for trial in study.trials
    )
    return replace(study, trials=trials)


def classed(study: StudyRecord, count: int) -> StudyRecord:
    names = tuple(f"class {place}" for place in range(count))
    empty = (0,) * count
    matrix = tuple((*empty[:place], 8, *empty[place + 1 :]) for place in range(count))
    evaluation = Evaluation(tuple(ClassResult(name, 0.8, 0.8, 0.8, 10) for name in names), matrix)
    trials = tuple(replace(trial, evaluation=evaluation) for trial in study.trials[:6])
    return replace(study, trials=trials, dataset=replace(study.dataset, classes=names))


KINDS: dict[str, Callable[[StudyRecord], StudyRecord]] = {
    "usual": lambda study: study,
    "empty": lambda study: replace(study, trials=()),
    "a single trial": lambda study: replace(study, trials=study.trials[:1]),
    "a trial that has just begun": lambda study: replace(
        study, trials=(replace(study.trials[1], state=TrialState.RUNNING, value=None, epochs=(), finished_at=None),)
    ),
    "all failed": failed,
    "no number": unnumbered,
    "not a number": lambda study: replace(
        study, trials=tuple(replace(trial, value=math.nan) for trial in study.trials)
    ),
    "one class": lambda study: classed(study, 1),
    "a thousand classes": lambda study: classed(study, 1000),
    "smaller is better": lambda study: replace(study, maximize=False),
    "no candidates": lambda study: replace(
        study, trials=tuple(replace(trial, candidate=None) for trial in study.trials)
    ),
}


@pytest.mark.parametrize("kind", KINDS)
def test_it_draws(figure: Figure, study: StudyRecord, kind: str) -> None:
    drawn = figure.draw(figure.rows(KINDS[kind](study)))
    assert isinstance(drawn, go.Figure)
    assert drawn.data or drawn.layout.annotations


def test_an_empty_study_draws_a_sentence(figure: Figure, study: StudyRecord) -> None:
    rows = figure.rows(replace(study, trials=()))
    assert rows is None
    assert len(figure.draw(rows).layout.annotations) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("figure", studies_figures(), ids=lambda figure: figure.name)
def test_studies_are_compared_whatever_they_are(figure: StudiesFigure, study: StudyRecord, kind: str) -> None:
    drawn = figure.draw(figure.rows((study, replace(KINDS[kind](study), name="other"))))
    assert drawn.data
    assert figure.rows(()) is None
    assert len(figure.draw(None).layout.annotations) == 1


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("figure", trials_figures(), ids=lambda figure: figure.name)
def test_trials_are_shown_side_by_side_whatever_they_are(figure: TrialsFigure, study: StudyRecord, kind: str) -> None:
    drawn = figure.draw(figure.rows(KINDS[kind](study), (0, 1, 4)))
    assert drawn.data or drawn.layout.annotations
    assert figure.rows(study, ()) is None


@pytest.mark.parametrize("figure", [*figures(), *studies_figures(), *trials_figures()], ids=lambda figure: figure.name)
def test_every_view_fits_the_drawing(figure: Drawing, study: StudyRecord) -> None:
    if isinstance(figure, Figure):
        rows = figure.rows(study)
    else:
        rows = figure.rows((study,)) if isinstance(figure, StudiesFigure) else figure.rows(study, (0, 1))  # type: ignore[attr-defined]
    drawn = figure.draw(rows)
    count = len(theme.without_menu(figure.draw(rows)))
    for place in range(count):
        again = figure.draw(rows)
        views = theme.without_menu(again, place)
        assert again.layout.updatemenus == ()
        data, _ = views[place][1]
        assert all(len(values) == len(drawn.data) for values in data.values())


def points(drawn: go.Figure) -> int:
    """Return how many points a browser draws: lines, however long, are one path."""
    seen = [trace for trace in drawn.data if trace.type == "scatter" and trace.visible is not False]
    traces = [trace for trace in seen if "markers" in (trace.mode or "markers")]
    return sum(value is not None for trace in traces for value in trace.x)


def test_of_many_trials_no_more_is_drawn_than_a_browser_draws_at_once(figure: Figure, study: StudyRecord) -> None:
    day = timedelta(days=1)
    many = tuple(
        replace(
            trial,
            number=trial.number + len(study.trials) * again,
            is_baseline=trial.is_baseline and not again,
            started_at=trial.started_at and trial.started_at + again * day,
            finished_at=trial.finished_at and trial.finished_at + again * day,
        )
        for again in range(100)
        for trial in study.trials
    )
    drawn = figure.draw(figure.rows(replace(study, trials=many)))
    theme.without_menu(drawn)
    assert points(drawn) <= 2000


@pytest.mark.parametrize("figure", [*figures(), *studies_figures(), *trials_figures()], ids=lambda figure: figure.name)
def test_it_is_filed_under_a_section_and_asks_for_what_there_is(figure: Drawing) -> None:
    assert figure.section
    assert figure.needs <= set(Need)


def test_it_says_how_it_is_read(figure: Figure) -> None:
    assert figure.title
    assert figure.how_to_read.endswith((".", "images."))
    assert type(figure).__module__ == f"search.report.figures.{figure.name}"
