from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import Repeat, Size, StudyRecord, TrialState
from search.report.figures.pareto import Rows, figure, knee_of


def test_no_trial_beats_one_of_the_front_in_both(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert [plane.label for plane in rows.planes] == ["parameters", "FLOPs", "train seconds"]
    plane = rows.planes[0]
    for place in plane.front:
        cost, value = plane.costs[place], plane.values[place]
        better = [
            other
            for other in range(len(plane.costs))
            if plane.costs[other] <= cost and plane.values[other] >= value and other != place
        ]
        assert [o for o in better if (plane.costs[o], plane.values[o]) != (cost, value)] == []
    assert plane.numbers[plane.baseline or 0] == 0


def test_latency_is_a_cost_where_it_was_measured(study: StudyRecord) -> None:
    trials = tuple(replace(trial, extras={"latency_ms": 3.0 + trial.number}) for trial in study.trials)
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert rows.planes[-1].label == "latency"
    assert min(rows.planes[-1].costs) == 3.0


@pytest.mark.parametrize(
    ("extras", "sizes", "front"),
    [
        ((10.0, 9.5, 8.0), (30, 20, 10), {"latency": [2, 0], "parameters": [2, 1, 0]}),
        ((10.0, 2.0, 1.0), (10, 20, 30), {"latency": [2, 1, 0], "parameters": [0]}),
    ],
)
def test_what_a_clock_measured_counts_as_equal_within_its_tolerance(
    study: StudyRecord, extras: tuple[float, ...], sizes: tuple[int, ...], front: dict[str, list[int]]
) -> None:
    trials = tuple(
        replace(study.trials[0], number=n, value=0.9 - n / 100, size=Size(size, 1, 1), extras={"latency_ms": taken})
        for n, (taken, size) in enumerate(zip(extras, sizes, strict=True))
    )
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    drawn = {plane.label: [plane.numbers[place] for place in plane.front] for plane in rows.planes}
    assert {label: drawn[label] for label in front} == front


def test_the_knee_bends_most() -> None:
    assert knee_of([1, 2, 3, 10], [0.1, 0.7, 0.8, 0.9], (4, 5, 6, 7)) == 6
    assert knee_of([1, 2], [0.1, 0.9], (0, 1)) is None
    assert knee_of([1, 2, 3], [0.1, 0.2, 0.3], (0, 1, 2)) is None


def test_knee_and_plain_recipe_are_marked(study: StudyRecord) -> None:
    names = [trace.name for trace in figure.draw(figure.rows(study)).data]
    assert {"not beaten in both", "plain recipe"} <= set(names)


def test_further_objectives_come_first_whatever_their_direction(study: StudyRecord) -> None:
    stated = [{"name": "accuracy", "direction": "maximize"}, {"name": "macro_f1", "direction": "maximize"}]
    stated.append({"name": "checkpoint_bytes", "direction": "minimize"})
    trials = tuple(
        replace(trial, objectives={"macro_f1": trial.number / 100, "checkpoint_bytes": 1e6 - trial.number})
        for trial in study.trials
    )
    rows = figure.rows(replace(study, trials=trials, spec={"study": {"objectives": stated}}))
    assert rows is not None
    assert [plane.label for plane in rows.planes[:3]] == ["macro f1", "checkpoint bytes", "parameters"]
    first = rows.planes[0]
    assert max(first.costs) in {first.costs[place] for place in first.front}
    assert first.values.index(max(first.values)) in first.front


def test_the_knee_is_never_worse_than_the_plain_recipe(study: StudyRecord) -> None:
    costs, values = (1e3, 1e4, 2e4, 1e5, 3e5, 1e6), (0.60, 0.7465, 0.9164, 0.93, 0.96, 0.97)
    trials = tuple(
        replace(study.trials[0], number=n, value=value, size=Size(int(cost), 1, 1), is_baseline=n == 2)
        for n, (cost, value) in enumerate(zip(costs, values, strict=True))
    )
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    plane = rows.planes[0]
    assert plane.knee is not None
    assert plane.values[plane.knee] >= 0.9164
    # By hand, among (2e4, 1e5, 3e5, 1e6) in logs: 3e5 lies farthest above the line through the ends.
    assert plane.costs[plane.knee] == 3e5
    drawn = figure.draw(rows)
    assert drawn.layout.xaxis.type == "log"
    assert next(list(trace.x) for trace in drawn.data if trace.name == "winner") == [1e6]


def test_axes_of_more_is_better_stay_linear(study: StudyRecord) -> None:
    stated = [{"name": "accuracy", "direction": "maximize"}, {"name": "macro_f1", "direction": "maximize"}]
    trials = tuple(replace(trial, objectives={"macro_f1": trial.number / 100}) for trial in study.trials)
    rows = figure.rows(replace(study, trials=trials, spec={"study": {"objectives": stated}}))
    assert figure.draw(rows).layout.xaxis.type == "linear"


def test_the_winner_is_marked_and_not_whoever_is_first(study: StudyRecord) -> None:
    first, second = study.ranking[:2]
    fresh = [Repeat(first.number, 1, value=0.0), Repeat(second.number, 1, value=1.0)]
    chosen = replace(study, repeats=tuple(replace(one, state=TrialState.COMPLETE) for one in fresh))
    assert chosen.best is second
    rows = figure.rows(chosen)
    assert rows is not None
    assert [plane.numbers[plane.winner or 0] for plane in rows.planes] == [second.number] * len(rows.planes)
    without = tuple(replace(trial, size=None) if trial is second else trial for trial in study.trials)
    lost = figure.rows(replace(chosen, trials=without))
    assert lost is not None
    assert [plane.winner for plane in lost.planes if plane.label == "FLOPs"] == [None]
    assert "winner" not in [trace.name for trace in figure.draw(Rows(lost.metric, lost.planes[:1])).data]


def test_there_is_no_knee_without_a_plain_recipe_to_compare_with(study: StudyRecord) -> None:
    plain = study.baseline
    assert plain is not None
    failed = tuple(replace(trial, state=TrialState.FAILED) if trial is plain else trial for trial in study.trials)
    rows = figure.rows(replace(study, trials=failed))
    assert rows is not None
    assert [plane.knee for plane in rows.planes] == [None] * len(rows.planes)
