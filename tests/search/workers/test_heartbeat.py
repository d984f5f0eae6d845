from __future__ import annotations

import shutil
import threading
import time
from pathlib import Path

import pytest

from search.artifacts.stores import Folder, claim_place
from search.errors import DatabaseError
from search.records.study import DatasetRecord, StudyRecord, TrialState
from search.spec.faults import FaultOptions
from search.store import connection, leases, migrate, reading, writing
from search.workers.heartbeat import Heartbeat
from search.workers.shutdown import StopSignal


@pytest.fixture
def heartbeat(tmp_path: Path):  # type: ignore[no-untyped-def]
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    migrate.upgrade(engine)
    dataset = DatasetRecord("d", ("a", "b"), {}, "f")
    study = StudyRecord("s", "classification", "accuracy", True, "b", "none", dataset, 3, spec={}, identity={})
    writing.create_study(engine, study)
    yield Heartbeat(engine, "s", "me", FaultOptions(lease=0.2), StopSignal())
    engine.dispose()


def test_a_lease_is_renewed_for_as_long_as_the_trial_is_held(
    heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch
) -> None:
    claim = leases.claim(heartbeat.engine, "s", "me", 0.2)
    assert claim is not None
    renewed, beats, real = threading.Event(), [], leases.beat

    def counted(*arguments):  # type: ignore[no-untyped-def]
        found = real(*arguments)
        beats.append(found)
        if len(beats) >= 8:  # two leases
            renewed.set()
        return found

    monkeypatch.setattr(leases, "beat", counted)
    with heartbeat.holding(claim), heartbeat.keeping():
        assert renewed.wait(60)
        heartbeat.beat()  # the machine of this test may be slower than the lease
        other = leases.claim(heartbeat.engine, "s", "other", 60)
    assert other is not None
    assert other.number == 1


def test_a_trial_that_was_taken_over_is_known_to_be_lost(heartbeat: Heartbeat) -> None:
    claim = leases.claim(heartbeat.engine, "s", "me", -1)
    assert claim is not None
    assert leases.claim(heartbeat.engine, "s", "heir", 60) is not None
    with heartbeat.holding(claim):
        heartbeat.beat()
    assert heartbeat.is_lost(claim)


def test_abandoned_trials_are_queued_again_before_anyone_asks_for_one(heartbeat: Heartbeat) -> None:
    assert leases.claim(heartbeat.engine, "s", "dead", -1) is not None
    heartbeat.beat()
    (trial,) = reading.load_study(heartbeat.engine, "s").trials
    assert trial.state is TrialState.WAITING


def test_a_stop_request_is_noticed(heartbeat: Heartbeat) -> None:
    writing.request_stop(heartbeat.engine, "s")
    heartbeat.beat()
    assert heartbeat.stop_signal.pausing()
    assert not heartbeat.stop_signal()


def test_a_database_outage_does_not_end_the_heartbeat(heartbeat: Heartbeat, monkeypatch: pytest.MonkeyPatch) -> None:
    answered = threading.Event()
    calls: list[int] = []
    real = leases.beat

    def flaky(*arguments):  # type: ignore[no-untyped-def]
        calls.append(1)
        if len(calls) < 3:
            raise DatabaseError("gone")
        answered.set()
        return real(*arguments)

    monkeypatch.setattr(leases, "beat", flaky)
    with heartbeat.keeping():
        assert answered.wait(60)


def test_a_place_of_checkpoints_that_vanishes_is_reported_once(
    heartbeat: Heartbeat, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    key = "0123456789abcdef" * 2
    place = Folder(tmp_path / "kept", key)
    claim_place(Folder(tmp_path / "kept"), key)
    heartbeat.artifact_store = place
    with heartbeat.keeping():
        time.sleep(0.2)
        assert not caplog.records
        shutil.rmtree(tmp_path / "kept")
        time.sleep(0.5)
    (told,) = [record for record in caplog.records if "checkpoints is gone" in record.getMessage()]
    assert told.levelname == "ERROR"
    assert "ftsearch artifacts STUDY --repair" in told.getMessage()
