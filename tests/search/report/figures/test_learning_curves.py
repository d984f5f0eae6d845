from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord, TrialState
from search.report.figures.learning_curves import figure


def test_winner_plain_recipe_and_pruned_curves_are_marked(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert study.best is not None
    kinds = {curve.number: curve.kind for curve in rows.curves}
    assert kinds[0] == "plain recipe"
    assert kinds[study.best.number] == "winner"
    assert kinds[4] == "pruned"


def test_of_very_many_curves_a_share_is_drawn_and_this_is_stated(study: StudyRecord) -> None:
    many = tuple(replace(study.trials[1], number=number) for number in range(1000))
    rows = figure.rows(replace(study, trials=many))
    assert rows is not None
    assert len(rows.curves) + rows.left_out == 1000
    assert "are not drawn" in str(figure.draw(rows).layout.annotations)


def test_the_ends_of_pruned_curves_are_marked_and_curves_stay_apart(study: StudyRecord) -> None:
    drawn = {trace.name: trace for trace in figure.draw(figure.rows(study)).data}
    pruned = [trial for trial in study.trials if trial.state.value == "pruned"]
    assert list(drawn["pruned here"].x) == [trial.epochs[-1].epoch for trial in pruned]
    assert list(drawn["pruned here"].customdata) == [trial.number for trial in pruned]
    assert sum(epoch is None for epoch in drawn["pruned"].x) == len(pruned)


def test_a_running_trial_is_drawn_as_running(study: StudyRecord) -> None:
    trials = (*study.trials, replace(study.trials[1], number=99, state=TrialState.RUNNING, value=None))
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert {curve.number: curve.kind for curve in rows.curves}[99] == "running"
    assert "running" in {trace.name for trace in figure.draw(rows).data}


@pytest.mark.parametrize("state", [TrialState.RUNNING, TrialState.FAILED, TrialState.WAITING])
def test_a_plain_recipe_without_a_value_is_drawn_by_its_state(study: StudyRecord, state: TrialState) -> None:
    plain = replace(study.trials[0], state=state, value=None)
    rows = figure.rows(replace(study, trials=(plain, *study.trials[1:])))
    assert rows is not None
    assert {curve.number: curve.kind for curve in rows.curves}[0] == str(state)
    assert "plain recipe" not in {trace.name for trace in figure.draw(rows).data}


def test_a_pruned_plain_recipe_ends_in_a_cross(study: StudyRecord) -> None:
    plain = replace(study.trials[0], state=TrialState.PRUNED, epochs=study.trials[0].epochs[:2])
    drawn = {trace.name: trace for trace in figure.draw(figure.rows(replace(study, trials=(plain,)))).data}
    assert list(drawn["plain recipe"].x) == [1, 2, None]
    assert (list(drawn["pruned here"].customdata), list(drawn["pruned here"].x)) == ([0], [2])


def test_a_curve_of_one_epoch_is_a_point_that_is_seen(study: StudyRecord) -> None:
    assert study.best is not None
    best = study.best.number
    trials = tuple(replace(one, epochs=one.epochs[:1]) if one.number == best else one for one in study.trials)
    drawn = {trace.name: trace for trace in figure.draw(figure.rows(replace(study, trials=trials))).data}
    assert "markers" in drawn["winner"].mode
    assert drawn["winner"].marker.size[0] > 2 * drawn["plain recipe"].marker.size


def test_a_single_epoch_stands_between_whole_numbers(study: StudyRecord) -> None:
    single = replace(study.trials[0], epochs=study.trials[0].epochs[:1])
    axis = figure.draw(figure.rows(replace(study, trials=(single,)))).layout.xaxis
    assert (axis.range, axis.dtick) == ((0, 2), 1)
    assert figure.draw(figure.rows(study)).layout.xaxis.range is None
