from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import Repeat, StudyRecord, TrialState
from search.report.figures.confirmation import figure


def test_seeds_have_a_mean_and_its_interval(study: StudyRecord) -> None:
    runs = [Repeat(1, seed, state=TrialState.COMPLETE, value=value) for seed, value in ((1, 0.8), (2, 0.85), (3, 0.9))]
    runs += [Repeat(2, 1, state=TrialState.COMPLETE, value=0.95), Repeat(2, 2)]
    rows = figure.rows(replace(study, repeats=tuple(runs)))
    assert rows is not None
    assert [row.number for row in rows.candidates] == [2, 1]
    assert rows.candidates[0].margin is None
    assert rows.candidates[0].searched == study.trials[2].value
    assert rows.candidates[1].mean == pytest.approx(0.85)
    assert rows.candidates[1].margin == pytest.approx(4.3027 * 0.05 / 3**0.5, rel=1e-3)
    drawn = {trace.name: trace for trace in figure.draw(rows).data}
    assert list(drawn["95 % interval of the mean"].x) == [rows.candidates[1].mean]
    points = [
        (x, y) for trace in drawn.values() for x, y in zip(trace.x, trace.y, strict=True) if trace.hoverinfo != "skip"
    ]
    assert len(points) == len(set(points)), "none covers another"


def test_equal_seeds_lie_beside_each_other_and_few_have_no_interval(study: StudyRecord) -> None:
    runs = tuple(Repeat(0, seed, state=TrialState.COMPLETE, value=0.5) for seed in (1, 2))
    drawn = figure.draw(figure.rows(replace(study, repeats=runs)))
    assert [trace.name for trace in drawn.data] == ["mean of the seeds", "in the search", "one seed"]
    assert len(set(drawn.data[-1].y)) == 2
    assert "interval" not in figure.how_to_read
    assert list(drawn.layout.yaxis.ticktext) == ["plain recipe"]


def test_folds_are_reported_from_the_studys_own_cut(study: StudyRecord) -> None:
    runs = [Repeat(1, 1, fold, folds, state=TrialState.COMPLETE, value=0.9) for fold, folds in ((1, 1), (1, 2), (2, 2))]
    drawn = figure.draw(figure.rows(replace(study, repeats=tuple(runs))))
    assert list(drawn.layout.yaxis.ticktext) == ["trial 1", "trial 1, 2 folds"]


def test_without_fresh_seeds_it_says_so(study: StudyRecord) -> None:
    assert figure.rows(study) is None
    assert "fresh seeds" in figure.draw(None).layout.annotations[0].text.replace("<br>", " ")


def test_pages_offer_it_once_something_is_confirmed(study: StudyRecord) -> None:
    assert not figure.is_for(replace(study, repeats=()))
    assert figure.is_for(replace(study, repeats=(Repeat(1, 1),)))
