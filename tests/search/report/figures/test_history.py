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
