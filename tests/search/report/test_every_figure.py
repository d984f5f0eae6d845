"""Every figure draws every kind of study, strange ones too."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import replace

import plotly.graph_objects as go
import pytest

from search.records import StudyRecord, TrialState
from search.report.figures import figures
from search.report.figures._base import Figure


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


KINDS: dict[str, Callable[[StudyRecord], StudyRecord]] = {
    "usual": lambda study: study,
    "empty": lambda study: replace(study, trials=()),
    "a single trial": lambda study: replace(study, trials=study.trials[:1]),
    "a trial that has just begun": lambda study: replace(
        study, trials=(replace(study.trials[1], state=TrialState.RUNNING, value=None, epochs=(), finished_at=None),)
    ),
    "all failed": failed,
    "no number": unnumbered,
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


def test_it_says_how_it_is_read(figure: Figure) -> None:
    assert figure.title
    assert figure.how_to_read.endswith((".", "images."))
    assert type(figure).__module__ == f"search.report.figures.{figure.name}"
