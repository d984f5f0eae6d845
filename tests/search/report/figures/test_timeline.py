from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report.figures.timeline import figure


def test_bars_are_drawn_by_worker_and_retries_and_failures_are_marked(study: StudyRecord) -> None:
    trials = tuple(replace(trial, worker=f"w{trial.number % 2}", attempts=1) for trial in study.trials)
    trials = (trials[0], replace(trials[1], attempts=3), *trials[2:])
    rows = figure.rows(replace(study, trials=trials))
    assert rows is not None
    assert {span.worker for span in rows.spans} == {"w0", "w1"}
    drawn = {trace.name: trace for trace in figure.draw(rows).data}
    assert list(drawn["taken up again"].customdata) == [1]
    failed = [trial.number for trial in study.trials if trial.state.value == "failed"]
    assert list(drawn["failure"].customdata) == failed


def test_a_running_trial_reaches_to_the_latest_moment(study: StudyRecord) -> None:
    running = replace(study.trials[1], finished_at=None)
    rows = figure.rows(replace(study, trials=(study.trials[0], running, *study.trials[2:])))
    assert rows is not None
    assert rows.until == max(trial.finished_at for trial in study.trials if trial.finished_at)


def test_of_very_many_trials_the_most_recent_are_drawn(study: StudyRecord) -> None:
    many = tuple(replace(study.trials[1], number=number) for number in range(4000))
    rows = figure.rows(replace(study, trials=many))
    assert rows is not None
    assert rows.left_out == 2500
    assert rows.spans[-1].number == 3999
