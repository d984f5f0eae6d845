from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord
from search.report.figures import parallel_coordinates
from search.report.figures._scales import scale_of
from search.report.figures.parallel_coordinates import figure


def test_a_line_passes_its_values_and_ends_at_its_objective(study: StudyRecord) -> None:
    rows = figure.rows(study)
    assert rows is not None
    assert rows.axes[-1].name == "accuracy"
    place = rows.numbers.index(1)
    freeze = next(index for index, axis in enumerate(rows.axes) if axis.name == "freeze")
    low, high = rows.axes[freeze].low, rows.axes[freeze].high
    assert rows.places[place][freeze] == pytest.approx((study.trials[1].params["freeze"] - low) / (high - low))
    assert max(places[-1] or 0 for places in rows.places) == 1.0
    assert rows.good[0] == 1.0


def test_a_missing_parameter_leaves_a_gap(study: StudyRecord) -> None:
    trials = tuple(
        replace(trial, params={**trial.params, "rare": trial.number}) if trial.number in (1, 2, 3) else trial
        for trial in study.trials
    )
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    rare = [axis.name for axis in rows.axes].index("rare")
    assert rows.places[rows.numbers.index(5)][rare] is None


def test_a_value_between_two_gaps_is_a_point_that_is_seen(study: StudyRecord) -> None:
    assert study.best is not None
    alone = replace(study.best, params={"freeze": study.best.params["freeze"]})
    rows = figure.rows(replace(study, trials=tuple(alone if one is study.best else one for one in study.trials)))
    assert rows is not None
    best = next(trace for trace in figure.draw(rows).data if trace.name == "best tenth")
    begin = best.customdata.index(alone.number)
    sizes = best.marker.size[begin : begin + len(rows.axes)]
    freeze = [axis.name for axis in rows.axes].index("freeze")
    assert (sizes[freeze], len(set(sizes))) == (7, 2)


def test_what_is_brushed_is_found_among_all_trials_drawn_or_not(study: StudyRecord) -> None:
    many = tuple(
        replace(
            study.trials[1],
            number=number,
            value=number / 2000,
            params={"freeze": number % 8, "kind": "abc"[number % 3]},
        )
        for number in range(2000)
    )
    rows = figure.rows(replace(study, trials=many))
    assert rows is not None
    assert rows.left_out
    names = [axis.name for axis in rows.axes]
    freeze, kind, value = (names.index(name) for name in ("freeze", "kind", "accuracy"))
    assert rows.inside(many, []) == list(range(2000))
    low, high = (round(rows.axes[freeze].place(end), 4) for end in (2, 4))
    assert rows.inside(many, [(freeze, low), (freeze, high)]) == [n for n in range(2000) if 2 <= n % 8 <= 4]
    brushed = [(freeze, low), (kind, 0.0), (kind, 1.0), (value, 0.5), (value, 1.0)]
    found = rows.inside(many, brushed)
    assert found == [n for n in range(2000) if n % 8 == 2 and n % 3 in (0, 2) and n >= found[0]]
    assert 990 < found[0] < 1010
    assert rows.inside(many, [(99, 0.5)]) == list(range(2000))
    other = replace(many[0], params={"kind": "of another space"})
    assert rows.inside([other], [(freeze, low)]) == rows.inside([other], [(kind, 0.0)]) == []


def test_of_many_trials_the_best_are_all_there(study: StudyRecord) -> None:
    many = tuple(
        replace(study.trials[1], number=number, value=number / 5000, params={"freeze": number % 8})
        for number in range(5000)
    )
    rows = figure.rows(replace(study, trials=many))
    assert rows is not None
    assert set(range(5000 - parallel_coordinates._TRIALS // 4, 5000)) <= set(rows.numbers)
    assert len(rows.numbers) + rows.left_out == 5000


def test_scales() -> None:
    assert scale_of("x", [1, 1]) is None
    log = scale_of("lr", [1e-4, 1e-2, 1.0], log=True)
    assert log is not None
    assert log.place(1e-2) == pytest.approx(0.5)
    words = scale_of("kind", ["b", "a", "c"])
    assert words is not None
    assert [text for _, text in words.ticks] == ["a", "b", "c"]
