from __future__ import annotations

import threading

import pytest
from sqlalchemy import event

from search.dashboard import study_cache
from search.dashboard.study_cache import StudyCache
from search.errors import NotFoundError
from search.records.study import EpochRecord, TrialState
from search.report import shown_trials
from search.report.figures._base import Need
from search.report.gather import gather
from search.store import aggregates, connection, leases, reading, writing


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(study_cache, "_FRESH_S", 0.0)


def grow(url: str) -> connection.Engine:
    """Let the study have more trials, and return an engine that writes."""
    engine = connection.connect(url)
    record = reading.load_study(engine, "drawn", epochs=False)
    from dataclasses import replace

    writing.create_study(engine, replace(record, target=200, trials=()))
    return engine


def test_it_sees_what_the_report_sees(cache: StudyCache) -> None:
    found, told = cache.study("drawn", set(Need)), gather(cache.engine, "drawn")
    assert [trial.number for trial in found.trials] == [trial.number for trial in told.trials]
    for mine, theirs in zip(found.trials, told.trials, strict=True):
        assert (mine.state, mine.value, mine.epochs, mine.evaluation) == (
            theirs.state,
            theirs.value,
            theirs.epochs,
            theirs.evaluation,
        )
        assert mine.distributions == theirs.distributions
        assert shown_trials.epochs_run(mine) == shown_trials.epochs_run(theirs)


def test_the_winner_is_chosen_from_what_the_report_chooses_it_from(cache: StudyCache) -> None:
    found, told = cache.study("drawn"), gather(cache.engine, "drawn")
    assert found.best is not None
    assert [trial.evaluation for trial in found.ranking] == [trial.evaluation for trial in told.ranking]
    assert all(trial.evaluation is not None for trial in found.ranking[:10])


def test_a_running_trial_appears_grows_and_ends(cache: StudyCache, own: str) -> None:
    cache.study("drawn", set(Need))
    before = cache.version("drawn")
    assert cache.version("drawn") == before
    engine = grow(own)
    claim = leases.claim(engine, "drawn", "w", 60)
    assert claim is not None
    assert cache.study("drawn").trials[claim.number].state is TrialState.RUNNING
    writing.record_epochs(engine, claim, [EpochRecord(1, 1.0, {"accuracy": 0.5})])
    assert len(cache.study("drawn").trials[claim.number].epochs) == 1
    writing.record_epochs(engine, claim, [EpochRecord(2, 1.0, {"accuracy": 0.99})])
    assert len(cache.study("drawn").trials[claim.number].epochs) == 2
    writing.finish_trial(
        engine,
        claim,
        writing.Ended(state=TrialState.COMPLETE, value=0.999, best_epoch=2, evaluation=None, ended="", seconds=1.0),
    )
    found = cache.study("drawn")
    assert found.best is not None
    assert found.best.number == claim.number
    assert shown_trials.epochs_run(found.best) == 2
    assert cache.version("drawn") >= before + 4
    engine.dispose()


def test_an_update_reads_only_what_is_new(cache: StudyCache, own: str) -> None:
    cache.study("drawn", set(Need))
    engine = grow(own)
    claim = leases.claim(engine, "drawn", "w", 60)
    assert claim is not None
    rows = 0

    @event.listens_for(cache.engine, "after_cursor_execute")
    def _count(connection_: object, cursor: object, statement: str, parameters: object, *_: object) -> None:
        nonlocal rows
        again = cache.engine.raw_connection()
        if "FROM ft_trial" in statement or "FROM ft_epoch" in statement:
            rows += len(again.cursor().execute(statement, parameters).fetchall())  # type: ignore[arg-type]
        again.close()

    assert len(cache.study("drawn").trials) == 121
    event.remove(cache.engine, "after_cursor_execute", _count)
    assert rows < 25
    engine.dispose()


def test_chosen_trials_are_whole(cache: StudyCache) -> None:
    found = cache.chosen("drawn", [3])
    assert found.trials[3].candidate is not None
    assert found.trials[3].epochs
    assert not found.trials[4].epochs


def test_an_unknown_study_is_reported(cache: StudyCache) -> None:
    with pytest.raises(NotFoundError, match="did you mean 'drawn'"):
        cache.study("drwn")


def test_what_is_read_ahead_is_not_read_again(cache: StudyCache, monkeypatch: pytest.MonkeyPatch) -> None:
    looks: list[str] = []
    inner = aggregates.outline
    monkeypatch.setattr(aggregates, "outline", lambda engine, name: (looks.append(name), inner(engine, name))[1])
    cache.warm_up()
    askers = [threading.Thread(target=cache.study, args=("drawn",)) for _ in range(4)]
    for asker in askers:
        asker.start()
    for asker in askers:
        asker.join()
    for thread in threading.enumerate():
        if thread.name == "dashboard-warm-up":
            thread.join()
    assert looks.count("drawn") == 1
