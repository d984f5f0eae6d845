from __future__ import annotations

import math
import time
from dataclasses import replace
from unittest.mock import Mock

import pytest
import sqlalchemy
from sqlalchemy import event

from search.errors import DatabaseError, NotFoundError
from search.records.study import DatasetRecord, EpochRecord, Failure, StudyRecord, TrialState
from search.store import history, leases, writing
from search.store.connection import PATIENCE, Engine, Patience
from search.store.history import StudyHistory
from search.store.leases import Claim
from search.store.tables import TrialRow
from spaces.candidate import Candidate, Recipe, Structure


def candidate(depth: int, backbone: str = "test:tiny") -> Candidate:
    return Candidate(Structure(backbone, "none", (16, 16), {"freeze": depth}), Recipe({"rate": 0.1}))


def begin(engine: Engine, study: str, depth: int) -> Claim:
    claim = leases.claim(engine, study, "w", 60)
    assert claim is not None
    writing.record_candidate(
        engine, claim, writing.Started(optuna_number=claim.number, params={"freeze": depth}, distributions={}, words="",
        candidate=candidate(depth).to_json(), is_baseline=False, seed=0, versions={}, dataset_fingerprint="",
        extras={"cost": {"training_flops": 2.0}},
    ))  # fmt: skip
    return claim


def epoch(engine: Engine, claim: Claim, number: int, value: float) -> None:
    writing.record_epochs(engine, claim, [EpochRecord(number, 1.0, {"accuracy": value}, seconds=1.5)])


def finish(engine: Engine, claim: Claim, value: float) -> None:
    writing.finish_trial(
        engine,
        claim,
        writing.Ended(state=TrialState.COMPLETE, value=value, best_epoch=1, evaluation=None, ended="", seconds=4.0),
    )


def test_a_refresh_returns_what_has_changed(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    own = StudyHistory(engine, "s", "accuracy")
    assert own.refresh() == frozenset()
    first, second = begin(engine, "s", 1), begin(engine, "s", 2)
    epoch(engine, first, 1, 0.5)
    assert own.refresh() == {0, 1}
    assert own.curves[0] == (0.5,)
    epoch(engine, second, 1, 0.4)
    epoch(engine, first, 2, 0.6)
    finish(engine, first, 0.6)
    assert own.refresh() == {0, 1}
    assert own.refresh() == {1}
    assert dict(own.curves) == {0: (0.5, 0.6), 1: (0.4,)}
    done, running = own.trials
    assert (done.state, done.value, done.last_epoch, done.params) == (TrialState.COMPLETE, 0.6, (2, 0.6), {"freeze": 1})
    assert done.cost == {"training_flops": 2.0}
    assert running.state is TrialState.RUNNING


def test_finished_trials_are_not_read_again(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, replace(record, target=9))
    for depth in range(5):
        claim = begin(engine, "s", depth)
        epoch(engine, claim, 1, 0.5)
        finish(engine, claim, 0.5)
    own = StudyHistory(engine, "s", "accuracy")
    assert len(own.refresh()) == 5
    statements: list[str] = []
    event.listen(engine, "before_cursor_execute", lambda *args: statements.append(args[2]))
    assert own.refresh() == frozenset()
    selects = [statement for statement in statements if statement.startswith("SELECT")]
    assert len(selects) == 1
    assert "ft_epoch" not in selects[0]
    assert len(own.trials) == 5


def test_seconds_count_failed_and_running_trials(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    done, failed, running = (begin(engine, "s", depth) for depth in (1, 2, 3))
    finish(engine, done, 0.5)
    writing.fail_trial(engine, failed, Failure("nan", "not finite"), 2.0)
    epoch(engine, running, 1, 0.5)
    epoch(engine, running, 2, 0.5)
    own = StudyHistory(engine, "s", "accuracy")
    own.refresh()
    assert own.seconds == pytest.approx(4.0 + 2.0 + 3.0)
    assert own.trials[1].failure_kind == "nan"


def test_a_failed_trial_that_was_put_back_is_read_again(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    claim = begin(engine, "s", 1)
    epoch(engine, claim, 1, 0.1)
    writing.fail_trial(engine, claim, Failure("disk", "full"), 2.0)
    own = StudyHistory(engine, "s", "accuracy")
    own.refresh()
    assert own.refresh() == frozenset()
    writing.retry_failed(engine, "s")
    again = leases.claim(engine, "s", "w", 60)
    assert again is not None
    epoch(engine, again, 1, 0.7)
    assert own.refresh() == {0}
    assert (own.trials[0].state, own.curves[0]) == (TrialState.RUNNING, (0.7,))
    finish(engine, again, 0.7)
    own.refresh()
    assert own.trials[0].state is TrialState.COMPLETE


def test_a_candidate_is_known_by_its_fingerprint(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    begin(engine, "s", 1)
    begin(engine, "s", 1)
    own = StudyHistory(engine, "s", "accuracy")
    own.refresh()
    assert dict(own.fingerprints) == {candidate(1).fingerprint: 0}
    assert history.fingerprint(candidate(7).to_json()) == candidate(7).fingerprint


def test_a_metric_that_is_not_a_number_is_in_the_curve(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    epoch(engine, begin(engine, "s", 1), 1, math.nan)
    own = StudyHistory(engine, "s", "accuracy")
    own.refresh()
    assert math.isnan(own.curves[0][0])


def test_another_study_in_the_store_is_not_seen(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    writing.create_study(engine, replace(record, name="other"))
    begin(engine, "other", 1)
    own = StudyHistory(engine, "s", "accuracy")
    assert own.refresh() == frozenset()
    with pytest.raises(NotFoundError):
        StudyHistory(engine, "absent", "accuracy").refresh()


def test_a_history_is_read_again_no_longer_than_its_engine_is_patient(
    engine: Engine, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    writing.create_study(engine, record)
    lost = sqlalchemy.exc.OperationalError("SELECT", {}, Exception("gone"), connection_invalidated=True)
    monkeypatch.setattr(history, "reading", Mock(side_effect=lost))
    hurried = engine.execution_options(**{PATIENCE: Patience(0.0)})
    begun = time.monotonic()
    with pytest.raises(DatabaseError, match="gone"):
        StudyHistory(hurried, "s", "accuracy").refresh()
    assert time.monotonic() - begun < 5  # the default is a minute


def test_a_row_of_the_history_that_was_changed_by_hand_is_one_line(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    begin(engine, "s", 1)
    with engine.begin() as connection:
        connection.execute(sqlalchemy.update(TrialRow).values(extras={"rejected": [{"when": 1}]}))
    with pytest.raises(DatabaseError, match=r"^the store holds something that cannot be read \(TypeError: "):
        StudyHistory(engine, "s", "accuracy").refresh()


def test_the_best_of_earlier_studies_come_one_of_each_in_turn(engine: Engine, record: StudyRecord) -> None:
    for name, values in (("old", (0.5, 0.9)), ("new", (0.1, 0.3))):
        writing.create_study(engine, replace(record, name=name))
        for depth, value in enumerate(values):
            finish(engine, begin(engine, name, depth), value)
    writing.create_study(engine, replace(record, name="elsewhere", backbone="test:other"))
    finish(engine, begin(engine, "elsewhere", 3), 1.0)
    writing.create_study(engine, replace(record, name="now"))
    found = history.earlier_best(engine, "now", 2)
    assert [(study, number) for study, number, _ in found] == [("new", 1), ("old", 1), ("new", 0), ("old", 0)]
    assert Candidate.from_json(found[0][2]) == candidate(1)
    assert len(history.earlier_best(engine, "now", 1)) == 2


def test_studies_of_similar_data_come_first(engine: Engine, record: StudyRecord) -> None:
    def dataset(images: int) -> DatasetRecord:
        return DatasetRecord("d", ("a", "b"), {"train": {"a": images, "b": images}}, "ff")

    for name, images in (("alike", 90), ("huge", 90_000)):
        writing.create_study(engine, replace(record, name=name, dataset=dataset(images)))
        finish(engine, begin(engine, name, 1), 0.5)
    writing.create_study(engine, replace(record, name="now", dataset=dataset(100)))
    assert [study for study, _, _ in history.earlier_best(engine, "now", 1)] == ["alike", "huge"]
