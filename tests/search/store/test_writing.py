from __future__ import annotations

import math
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest

from search.errors import ConflictError, NotFoundError
from search.records.study import OPEN, ClassResult, EpochRecord, Evaluation, Failure, Size, StudyRecord, TrialState
from search.store import connection, leases, reading, writing
from search.store.connection import Engine


def test_a_study_comes_back_as_it_was_stored(engine: Engine, record: StudyRecord) -> None:
    assert writing.create_study(engine, record)
    found = reading.load_study(engine, "s")
    assert replace(found, created_at=None) == replace(record, created_at=None)


def test_the_same_study_is_continued_and_only_a_larger_target_counts(engine: Engine, record: StudyRecord) -> None:
    assert writing.create_study(engine, record)
    assert not writing.create_study(engine, replace(record, target=1))
    assert reading.load_study(engine, "s").target == record.target
    writing.create_study(engine, replace(record, target=9))
    assert reading.load_study(engine, "s").target == 9


def test_a_number_that_is_asked_for_ends_a_study_sooner_but_takes_no_trial_back(
    engine: Engine, record: StudyRecord
) -> None:
    writing.create_study(engine, replace(record, target=30))
    for _ in range(3):
        leases.claim(engine, "s", "w", 60)
    writing.create_study(engine, replace(record, target=6), may_shrink=True)
    assert reading.load_study(engine, "s").target == 6
    writing.create_study(engine, replace(record, target=2), may_shrink=True)
    assert reading.load_study(engine, "s").target == 3
    writing.create_study(engine, replace(record, target=30))
    assert reading.load_study(engine, "s").target == 30


def test_an_open_study_is_closed_to_what_it_has_and_opened_again_by_a_run_without_a_number(
    engine: Engine, record: StudyRecord
) -> None:
    writing.close_study(engine, record.name)  # not there: nothing to close
    writing.create_study(engine, replace(record, target=OPEN))
    leases.claim(engine, "s", "w", 60)
    writing.close_study(engine, "s")
    assert reading.load_study(engine, "s").target == 1
    writing.close_study(engine, "s")
    assert reading.load_study(engine, "s").target == 1
    writing.create_study(engine, replace(record, target=OPEN))
    assert reading.load_study(engine, "s").target == OPEN
    writing.create_study(engine, replace(record, target=5))
    assert reading.load_study(engine, "s").target == 5


def test_a_settled_study_needs_no_more_than_the_trials_that_it_has(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, replace(record, target=9))
    leases.claim(engine, "s", "w", 60)
    writing.close_study(engine, "s")
    assert reading.load_study(engine, "s").target == 9
    writing.close_study(engine, "s", is_settled=True)
    assert reading.load_study(engine, "s").target == 1


def test_two_that_create_the_same_study_at_once_both_go_on(engine: Engine, url: str, record: StudyRecord) -> None:
    engines = [connection.connect(url) for _ in range(6)]
    with ThreadPoolExecutor(6) as pool:
        created = list(pool.map(lambda own: writing.create_study(own, record), engines))
    assert sorted(created) == [False] * 5 + [True]
    for own in engines:
        own.dispose()


def test_another_search_under_the_same_name_is_refused_with_the_differences(
    engine: Engine, record: StudyRecord
) -> None:
    writing.create_study(engine, record)
    other = replace(record, identity={"space": {"freeze": {"high": 5}}, "objective": "loss"})
    with pytest.raises(ConflictError) as caught:
        writing.create_study(engine, other)
    assert "space.freeze.high: stored 3, now 5" in str(caught.value)
    assert "objective: stored None, now 'loss'" in str(caught.value)


def test_a_whole_trial_comes_back_as_it_was_recorded(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    writing.record_candidate(
        engine, claim, writing.Started(
        optuna_number=0, params={"freeze": 2}, distributions={"freeze": "{}"}, candidate={"format": 1},
        words="words", is_baseline=True, seed=5, versions={"torch": "x"}, dataset_fingerprint="ff",
    ))  # fmt: skip
    size = Size(10, 5, 100, ("frozen", "trained"))
    writing.record_size(engine, claim, size)
    epochs = [EpochRecord(1, 0.5, {"accuracy": 0.7, "loss": math.inf}, {"head": 0.1}, {"task": 0.5}, 1.5)]
    writing.record_epochs(engine, claim, epochs)
    evaluation = Evaluation((ClassResult("a", 1.0, 0.5, 0.6, 2), ClassResult("b", 0.5, 1.0, 0.6, 1)), ((1, 1), (0, 1)))
    writing.finish_trial(
        engine, claim, writing.Ended(
        state=TrialState.COMPLETE, value=0.7, best_epoch=1, evaluation=evaluation, ended="done",
        seconds=2.5, checkpoint="c.safetensors", extras={"device": "cpu"},
    ))  # fmt: skip
    (trial,) = reading.load_study(engine, "s").trials
    assert (trial.params, trial.candidate, trial.words, trial.is_baseline) == (
        {"freeze": 2},
        {"format": 1},
        "words",
        True,
    )
    assert (trial.size, trial.epochs, trial.evaluation) == (size, tuple(epochs), evaluation)
    assert (trial.state, trial.value, trial.checkpoint, trial.seconds) == (
        TrialState.COMPLETE,
        0.7,
        "c.safetensors",
        2.5,
    )
    assert trial.started_at is not None
    assert trial.finished_at is not None
    assert trial.finished_at >= trial.started_at


def test_recording_an_epoch_again_replaces_it(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    for value in (0.1, 0.2):
        writing.record_epochs(engine, claim, [EpochRecord(1, math.nan, {"accuracy": value})])
    (trial,) = reading.load_study(engine, "s").trials
    assert len(trial.epochs) == 1
    assert trial.epochs[0].metrics == {"accuracy": 0.2}
    assert math.isnan(trial.epochs[0].train_loss)


def test_an_attempt_that_ends_sooner_leaves_no_epochs_of_the_one_before_it(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    writing.record_epochs(engine, claim, [EpochRecord(number, 1.0, {"accuracy": 0.9}) for number in (1, 2, 3)])
    writing.record_epochs(engine, claim, [EpochRecord(2, 1.0, {"accuracy": 0.1})])
    (trial,) = reading.load_study(engine, "s").trials
    assert [(one.epoch, one.metrics["accuracy"]) for one in trial.epochs] == [(1, 0.9), (2, 0.1)]


def test_a_failure_is_kept_with_its_traceback(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    assert writing.fail_trial(engine, claim, Failure("nan", "loss is nan", "Traceback")) is None
    (trial,) = reading.load_study(engine, "s").trials
    assert trial.state is TrialState.FAILED
    assert trial.failure == Failure("nan", "loss is nan", "Traceback")


def test_deleting_removes_everything_of_a_study(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    writing.record_epochs(engine, claim, [EpochRecord(1, 0.1, {"accuracy": 0.2})])
    writing.delete_study(engine, "s")
    assert reading.list_studies(engine) == ()


def test_stopping_a_missing_study_is_refused(engine: Engine) -> None:
    with pytest.raises(NotFoundError):
        writing.request_stop(engine, "x")


def test_differences_name_every_place() -> None:
    lines = list(writing.differences({"a": {"b": 1}, "c": 2}, {"a": {"b": 2}, "d": 3}))
    assert lines == ["a.b: stored 1, now 2", "c: stored 2, now None", "d: stored None, now 3"]


def test_seconds_and_facts_of_all_attempts_add_up(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    writing.record_candidate(
        engine, claim, writing.Started(
        optuna_number=0, params={}, distributions={}, candidate={}, words="", is_baseline=True, seed=0,
        versions={}, dataset_fingerprint="", extras={"cost": {"training_flops": 1.0}},
    ))  # fmt: skip
    writing.add_seconds(engine, claim, 2.0)
    writing.finish_trial(
        engine, claim, writing.Ended(
        state=TrialState.COMPLETE, value=1.0, best_epoch=1, evaluation=None, ended="", seconds=3.0,
        extras={"device": "cpu"},
    ))  # fmt: skip
    (found,) = reading.load_study(engine, "s").trials
    assert found.seconds == 5.0
    assert found.extras == {"cost": {"training_flops": 1.0}, "device": "cpu"}


def test_a_failed_trial_has_cost_its_seconds(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = leases.claim(engine, "s", "w", 60)
    assert claim is not None
    writing.fail_trial(engine, claim, Failure("nan", "not finite"), 4.0)
    assert reading.load_study(engine, "s").trials[0].seconds == 4.0


def test_a_continued_study_takes_over_the_search_settings(engine: Engine, record: StudyRecord) -> None:
    first = {"study": {"name": "s", "search": {"budget": None}}, "base": "/a"}
    writing.create_study(engine, replace(record, spec=first))
    again = {"study": {"name": "s", "search": {"budget": {"gpu_seconds": 9.0}}}, "base": "/b"}
    writing.create_study(engine, replace(record, spec=again))
    stored = reading.load_study(engine, "s").spec
    assert stored == {"study": {"name": "s", "search": {"budget": {"gpu_seconds": 9.0}}}, "base": "/a"}


def end(engine: Engine, value: float, constraints: dict[str, float] | None = None, checkpoint: str = "") -> None:
    claim = leases.claim(engine, "s", "me", 60)
    assert claim is not None
    writing.finish_trial(
        engine, claim, writing.Ended(
        state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="", seconds=1.0,
        checkpoint=checkpoint or None, objectives={"accuracy": value, "flops": 5.0}, constraints=constraints,
    ))  # fmt: skip


def test_a_trial_that_breaks_a_constraint_is_kept_and_ranks_nowhere(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    end(engine, 0.9, {"flops < 4": 0.25}, "too-large")
    end(engine, 0.6, {"flops < 9": -0.4}, "good")
    end(engine, 0.5)
    study = reading.load_study(engine, "s")
    assert [trial.number for trial in study.ranking] == [1, 2]
    assert study.trials[0].broken == ("flops < 4",)
    assert study.trials[1].objectives == {"accuracy": 0.6, "flops": 5.0}
    assert study.trials[1].broken == study.trials[2].broken == ()
    assert reading.winner(engine, "s") == study.ranking[0]
    assert [-key[0] for key in reading.best_rank_keys(engine, "s", 5)] == [0.6, 0.5]
    assert [kept for _, kept in reading.kept_checkpoints(engine, "s")] == ["good", "too-large"]
