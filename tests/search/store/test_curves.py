from __future__ import annotations

from dataclasses import replace

from sqlalchemy import event

from search.records import EpochRecord, StudyRecord, TrialState
from search.store import leases, reading, writing
from search.store.connection import Engine
from search.store.curves import Curves


def epoch(number: int, value: float) -> EpochRecord:
    return EpochRecord(number, 0.1, {"accuracy": value})


def test_curves_are_those_that_are_stored_and_ended_ones_are_read_once(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, replace(record, target=3))
    curves = Curves(engine, "s", "accuracy")
    assert curves.look() == {}
    first, second = leases.claim(engine, "s", "w", 60), leases.claim(engine, "s", "w", 60)
    assert first is not None
    assert second is not None
    writing.record_epochs(engine, first, [epoch(1, 0.1), epoch(2, 0.2)])
    assert curves.look() == {0: [0.1, 0.2]}
    writing.finish_trial(
        engine, first, state=TrialState.PRUNED, value=0.2, best_epoch=2, evaluation=None, ended="", seconds=1.0
    )
    writing.record_epochs(engine, second, [epoch(1, 0.3)])
    assert curves.look() == {0: [0.1, 0.2], 1: [0.3]}
    rows: list[int] = []
    event.listen(engine, "after_cursor_execute", lambda *given: rows.append(given[1].rowcount))
    writing.record_epochs(engine, second, [epoch(2, 0.4)])
    third = leases.claim(engine, "s", "w", 60)
    assert third is not None
    writing.record_epochs(engine, third, [epoch(1, 0.5)])
    assert curves.look() == {0: [0.1, 0.2], 1: [0.3, 0.4], 2: [0.5]} == reading.epoch_curves(engine, "s", "accuracy")
    assert 0 not in curves._open


def test_a_trial_that_is_put_back_is_looked_at_again(engine: Engine, record: StudyRecord) -> None:
    from search.records import Failure

    writing.create_study(engine, replace(record, target=1))
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    writing.record_epochs(engine, claim, [epoch(1, 0.1)])
    writing.fail_trial(engine, claim, Failure("nan", "x"))
    fresh = Curves(engine, "s", "accuracy")
    assert fresh.look() == {0: [0.1]}
