from __future__ import annotations

from dataclasses import replace

import pytest
from sqlalchemy import event

from search.records.study import EpochRecord, Failure, Size, StudyRecord, TrialState
from search.store import aggregates, leases, reading, writing
from search.store.connection import Engine


def run(engine: Engine, value: float, worker: str = "w", state: TrialState = TrialState.COMPLETE) -> int:
    claim = leases.claim(engine, "s", worker, 60)
    assert claim is not None
    writing.record_candidate(
        engine, claim, writing.Started(optuna_number=claim.number, params={"freeze": claim.number, "odd": float("inf")},
        distributions={"freeze": "{}"}, candidate={"c": 1}, words="w", is_baseline=claim.number == 0, seed=1,
        versions={}, dataset_fingerprint="",
    ))  # fmt: skip
    writing.record_size(engine, claim, Size(10, 5, 100, ("frozen", "trained")))
    writing.record_epochs(
        engine, claim, [EpochRecord(1, 1.0, {"accuracy": value}), EpochRecord(2, 1.0, {"accuracy": 1.0})]
    )
    writing.finish_trial(
        engine,
        claim,
        writing.Ended(state=state, value=value, best_epoch=2, evaluation=None, ended="", seconds=2.0, extras={"a": 1}),
    )
    return claim.number


@pytest.fixture
def filled(engine: Engine, record: StudyRecord) -> Engine:
    writing.create_study(engine, replace(record, target=50))
    for value in (0.5, 0.9, 0.7):
        run(engine, value)
    return engine


def test_an_outline_is_the_study_without_its_heavy_parts(filled: Engine) -> None:
    outline, whole = aggregates.outline(filled, "s"), reading.load_study(filled, "s")
    assert [trial.value for trial in outline.trials] == [0.5, 0.9, 0.7]
    assert dict(outline.trials[1].params) == dict(whole.trials[1].params)
    assert outline.trials[1].extras == {"a": 1}
    assert outline.trials[1].finished_at == whole.trials[1].finished_at
    assert outline.trials[1].candidate is None
    assert replace(outline, trials=()) == replace(whole, trials=())


def test_changes_are_new_trials_open_ones_and_those_that_were_open(filled: Engine) -> None:
    claim = leases.claim(filled, "s", "w", 60)
    assert claim is not None
    assert [trial.number for trial in aggregates.changes(filled, "s", 2, ())] == [3]
    assert [trial.number for trial in aggregates.changes(filled, "s", 3, ())] == [3]
    writing.fail_trial(filled, claim, Failure("nan", "no"))
    assert aggregates.changes(filled, "s", 3, ()) == ()
    assert [trial.state.value for trial in aggregates.changes(filled, "s", 3, (3,))] == ["failed"]


def test_an_update_reads_as_many_rows_as_are_new(filled: Engine) -> None:
    statements = []

    @event.listens_for(filled, "before_cursor_execute")
    def _seen(connection: object, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    aggregates.changes(filled, "s", 2, (1,))
    trials = [text for text in statements if "FROM ft_trial" in text]
    assert trials
    if filled.dialect.name == "sqlite":
        with filled.connect() as link:
            for text in trials:
                values = ("s",) if "ft_study.name" in text else (1, *["x"] * (text.count("?") - 1))
                plan = " ".join(row[3] for row in link.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}", values))
                assert "USING INDEX" in plan
                assert "SCAN" not in plan


def test_details_and_curves_are_of_the_trials_asked_for(filled: Engine) -> None:
    assert set(aggregates.details(filled, "s", [0, 2])) == {0, 2}
    found = aggregates.details(filled, "s", [2])[2]
    assert found.size is not None
    assert found.size.unit_states == ("frozen", "trained")
    assert [record.epoch for record in aggregates.curves(filled, "s", [1])[1]] == [1, 2]
    assert aggregates.epochs_run(filled, "s") == {0: 2, 1: 2, 2: 2}
    assert aggregates.epochs_run(filled, "s", 1) == {2: 2}


def test_ranges_are_read_once_for_all_trials(filled: Engine) -> None:
    study = aggregates.outline(filled, "s")
    spaces = aggregates.spaces(filled, "s", study.trials)
    assert spaces == {"freeze": "{}"}
    assert aggregates.with_spaces(study.trials[1], spaces).distributions == {"freeze": "{}"}


def test_workers_are_listed_those_at_work_first(filled: Engine) -> None:
    leases.claim(filled, "s", "busy", 60)
    busy, idle = aggregates.workers(filled)
    assert (busy.name, busy.running, busy.finished) == ("busy", (("s", 3),), 0)
    assert (idle.name, idle.finished, idle.failed, idle.seconds) == ("w", 3, 0, 6.0)
    assert idle.last is not None
