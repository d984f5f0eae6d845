from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report import theme
from search.report.figures.history import figure


def test_the_best_so_far_never_gets_worse_and_counts_complete_trials_only(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    best = [value for value in rows.best if value is not None]
    assert best == sorted(best)
    assert study.best is not None
    assert best[-1] == study.best.value
    assert rows.baseline == study.trials[0].value
    trials, minutes, device = rows.axes
    assert trials == tuple(range(1, len(trials) + 1))
    assert minutes[0] == 0.9
    assert device[-1] == sum(50 / 60 for _ in device)


def test_each_axis_is_a_view_of_the_same_points(study: StudyRecord) -> None:
    drawn = figure.draw(figure.rows(study))
    views = theme.without_menu(drawn)
    assert [label for label, _ in views] == ["trials", "wall time", "device time"]
    assert all(len(x) == len(trace.y) for x, trace in zip(views[1][1][0]["x"], drawn.data, strict=True))


def test_a_point_knows_its_trial(study: StudyRecord) -> None:
    drawn = figure.draw(figure.rows(study))
    complete = next(trace for trace in drawn.data if trace.name == "complete")
    values = {trial.number: trial.value for trial in study.trials}
    assert [values[number] for number in complete.customdata] == list(complete.y)


def test_of_many_trials_few_points_are_drawn_the_extremes_among_them(study: StudyRecord) -> None:
    many = tuple(
        replace(study.trials[1], number=number, value=0.9 if number == 7777 else 0.5 + number % 7 / 100, words="w")
        for number in range(20_000)
    )
    drawn = figure.draw(figure.rows(replace(study, trials=many)))
    complete = next(trace for trace in drawn.data if trace.name == "complete")
    assert len(complete.y) <= theme.MOST_POINTS
    assert max(complete.y) == 0.9
    assert 7777 in complete.customdata


def test_the_axis_fits_complete_trials_and_pruned_ones_are_drawn_at_its_edge(study: StudyRecord) -> None:
    far = replace(study.trials[4], value=-50.0)
    trials = tuple(far if trial.number == 4 else trial for trial in study.trials)
    drawn = figure.draw(figure.rows(replace(study, trials=trials)))
    complete = [trial.value for trial in trials if trial.state.value == "complete" and trial.value is not None]
    low, high = drawn.layout.yaxis.range
    assert low < min(complete) < max(complete) < high
    assert high - low < 1.2 * (max(complete) - min(complete))
    pruned = next(trace for trace in drawn.data if trace.name == "pruned")
    assert pruned.y[list(pruned.customdata).index(4)] == low
    assert "-50.0000" in pruned.text[list(pruned.customdata).index(4)]


def test_trials_are_counted_in_whole_numbers(study: StudyRecord) -> None:
    assert figure.draw(figure.rows(replace(study, trials=study.trials[:3]))).layout.xaxis.dtick == 1
