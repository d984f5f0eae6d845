from __future__ import annotations

import threading

import pytest
from sqlalchemy import event

from search.dashboard import watch as watching
from search.dashboard.watch import Watch
from search.errors import NotFoundError
from search.records.study import EpochRecord, TrialState
from search.report import picks
from search.report.figures._base import Need
from search.report.gather import gather
from search.store import aggregates, connection, leases, reading, writing


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(watching, "_FRESH_S", 0.0)


def grow(url: str) -> connection.Engine:
    """Let the study have more trials, and return an engine that writes."""
    engine = connection.connect(url)
    record = reading.load_study(engine, "drawn", epochs=False)
    from dataclasses import replace

    writing.create_study(engine, replace(record, target=200, trials=()))
    return engine


def test_it_sees_what_the_report_sees(watch: Watch) -> None:
    found, told = watch.study("drawn", set(Need)), gather(watch.engine, "drawn")
    assert [trial.number for trial in found.trials] == [trial.number for trial in told.trials]
    for mine, theirs in zip(found.trials, told.trials, strict=True):
        assert (mine.state, mine.value, mine.epochs, mine.evaluation) == (
            theirs.state,
            theirs.value,
            theirs.epochs,
            theirs.evaluation,
        )
        assert mine.distributions == theirs.distributions
        assert picks.epochs_run(mine) == picks.epochs_run(theirs)


def test_a_running_trial_appears_grows_and_ends(watch: Watch, own: str) -> None:
    watch.study("drawn", set(Need))
    before = watch.version("drawn")
    assert watch.version("drawn") == before
    engine = grow(own)
    claim = leases.claim(engine, "drawn", "w", 60)
    assert claim is not None
    assert watch.study("drawn").trials[claim.number].state is TrialState.RUNNING
    writing.record_epochs(engine, claim, [EpochRecord(1, 1.0, {"accuracy": 0.5})])
    assert len(watch.study("drawn").trials[claim.number].epochs) == 1
    writing.record_epochs(engine, claim, [EpochRecord(2, 1.0, {"accuracy": 0.99})])
    assert len(watch.study("drawn").trials[claim.number].epochs) == 2
    writing.finish_trial(
        engine,
        claim,
        writing.Ended(state=TrialState.COMPLETE, value=0.999, best_epoch=2, evaluation=None, ended="", seconds=1.0),
    )
    found = watch.study("drawn")
    assert found.best is not None
    assert found.best.number == claim.number
    assert picks.epochs_run(found.best) == 2
    assert watch.version("drawn") >= before + 4
    engine.dispose()


def test_an_update_reads_only_what_is_new(watch: Watch, own: str) -> None:
    watch.study("drawn", set(Need))
    engine = grow(own)
    claim = leases.claim(engine, "drawn", "w", 60)
    assert claim is not None
    rows = 0

    @event.listens_for(watch.engine, "after_cursor_execute")
    def _count(connection_: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        nonlocal rows
        again = watch.engine.raw_connection()
        if "FROM ft_trial" in statement or "FROM ft_epoch" in statement:
            rows += len(again.cursor().execute(statement, parameters).fetchall())  # type: ignore[arg-type]
        again.close()

    assert len(watch.study("drawn").trials) == 121
    event.remove(watch.engine, "after_cursor_execute", _count)
    assert rows < 25
    engine.dispose()


def test_chosen_trials_are_whole(watch: Watch) -> None:
    found = watch.chosen("drawn", [3])
    assert found.trials[3].candidate is not None
    assert found.trials[3].epochs
    assert not found.trials[4].epochs


def test_an_unknown_study_is_told(watch: Watch) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'drawn'"):
        watch.study("drwn")


def test_what_is_read_ahead_is_not_read_again(watch: Watch, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    inner = aggregates.outline
    monkeypatch.setattr(aggregates, "outline", lambda engine, name: (looks.append(name), inner(engine, name))[1])
    watch.warm_up()
    askers = [threading.Thread(target=watch.study, args=("drawn",)) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    for thread in threading.enumerate():
        if thread.name == "dashboard-warm-up":
            thread.join()
    assert looks.count("drawn") == 1
