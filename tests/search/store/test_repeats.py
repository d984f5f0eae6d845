from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from sqlalchemy import text, update

from search.errors import DatabaseError, NotFoundError
from search.records.study import StudyRecord, TrialState
from search.store import history, leases, reading, repeats, writing
from search.store.connection import Engine
from search.store.repeats import CONFIRM, FINAL, REFIT, RetrainingRequest
from search.store.tables import StudyRow


def wanted(*seeds: int, trial: int = 0) -> list[RetrainingRequest]:
    keys: list[dict[str, Any]] = [
        {"trial": trial, "seed": seed, "fold": 1, "folds": 1, "fraction": 1.0} for seed in seeds
    ]
    return [RetrainingRequest(key, {"structure": {}}, "words", 7) for key in keys]


@pytest.fixture
def search(engine: Engine, record: StudyRecord) -> str:
    writing.create_study(engine, record)
    return record.name


def test_what_exists_is_not_entered_again(engine: Engine, search: str) -> None:
    assert repeats.add(engine, search, CONFIRM, wanted(1, 2)) == 2
    assert repeats.add(engine, search, CONFIRM, wanted(1, 2, 3)) == 1
    study = reading.load_study(engine, search)
    assert [run.seed for run in study.repeats] == [1, 2, 3]
    assert {run.state for run in study.repeats} == {TrialState.WAITING}


def test_the_search_itself_sees_nothing_of_it(engine: Engine, search: str, record: StudyRecord) -> None:
    before = reading.progress(engine, search)
    repeats.add(engine, search, CONFIRM, wanted(1, 2))
    assert reading.progress(engine, search) == before
    assert reading.load_study(engine, search).trials == ()
    assert [summary.name for summary in reading.list_studies(engine)] == [search]
    writing.create_study(engine, replace(record, name="other"))
    assert history.earlier_best(engine, "other", 5) == ()
    with pytest.raises(NotFoundError, match="did you mean 's'"):
        reading.load_study(engine, "ss")
    claim = leases.claim(engine, search, "w", 60)
    assert claim is not None
    assert claim.number == 0


def test_each_is_claimed_once_with_its_candidate_and_key(engine: Engine, search: str) -> None:
    repeats.add(engine, search, CONFIRM, wanted(1, 2))
    name = repeats.name_of(search, CONFIRM)
    assert repeats.with_work(engine, search) == ((CONFIRM, name),)
    claims = [leases.claim(engine, name, "w", 60) for _ in range(3)]
    assert [claim and claim.params["seed"] for claim in claims] == [1, 2, None]
    assert repeats.with_work(engine, search) == ()
    assert claims[0] is not None
    assert repeats.begin(engine, claims[0], {"torch": "2"}, "ff") == 7
    writing.finish_trial(
        engine, claims[0], writing.Ended(
        state=TrialState.COMPLETE, value=0.5, best_epoch=1, evaluation=None, ended="", seconds=2.0,
        extras={"images": 9},
    ))  # fmt: skip
    (first, _) = reading.load_study(engine, search).repeats
    assert (first.value, first.images, first.seconds) == (0.5, 9, 2.0)


def test_looks_at_the_test_images_are_counted(engine: Engine, search: str) -> None:
    keys = [{"trial": trial, "data": "train", "epochs": 2, "ema": False, "tta": False} for trial in (1, 2, 3)]
    repeats.add(engine, search, REFIT, [RetrainingRequest(key, {}, "words", 7) for key in keys])
    name = repeats.name_of(search, REFIT)
    looks = []
    for test in ({"accuracy": 0.5}, {}, {"accuracy": 0.9}):
        claim = leases.claim(engine, name, "w", 60)
        assert claim is not None
        facts: dict[str, Any] = {"evaluation": None, "ended": "", "seconds": 1.0, "extras": {"images": 3}}
        looks.append(repeats.finish_refit(engine, claim, test=test, checkpoint=f"refit-{claim.number}", **facts))
        # The database's first answer was lost: the same look, not another one.
        assert repeats.finish_refit(engine, claim, test=test, checkpoint="x", **facts) == looks[-1]
    assert looks == [1, None, 2]
    assert [refit.look for refit in reading.load_study(engine, search).refits] == [1, None, 2]
    assert repeats.checkpoints(engine, search) == ("refit-0", "refit-1", "refit-2")
    assert repeats.number_of(engine, name, keys[1]) == 1
    with pytest.raises(NotFoundError, match="no such training"):
        repeats.number_of(engine, name, {"trial": 9})


def test_a_stop_and_a_deletion_reach_it(engine: Engine, search: str) -> None:
    repeats.add(engine, search, CONFIRM, wanted(1))
    name = repeats.name_of(search, CONFIRM)
    assert repeats.parent_of(engine, name) == (search, CONFIRM)
    assert repeats.parent_of(engine, search) is None
    writing.request_stop(engine, search)
    assert leases.claim(engine, name, "w", 60) is None
    assert repeats.add(engine, search, CONFIRM, wanted(1)) == 0
    assert leases.claim(engine, name, "w", 60) is not None
    writing.delete_study(engine, search)
    assert repeats.parent_of(engine, name) is None
    with pytest.raises(NotFoundError):
        repeats.add(engine, search, CONFIRM, wanted(1))


def test_long_names_stay_apart_and_short_enough() -> None:
    names = {repeats.name_of("n" * 63 + end, kind) for end in "ab" for kind in (CONFIRM, REFIT)}
    assert len(names) == 4
    assert all(len(name) <= 64 for name in names)


def test_one_of_the_same_kind_is_entered_once_whatever_else_its_key_says(engine: Engine, search: str) -> None:
    keys: list[dict[str, Any]] = [
        {"trial": trial, "data": "train+val", "epochs": epochs, "ema": False, "tta": False}
        for trial, epochs in ((1, 2), (1, 9), (2, 9))
    ]
    entered = [
        repeats.add(engine, search, FINAL, [RetrainingRequest(key, {}, "words", 7, identified_by=("trial",))])
        for key in keys
    ]
    assert entered == [1, 0, 1]
    finals = reading.load_study(engine, search).finals
    assert [(one.trial, one.epochs, one.is_final) for one in finals] == [(1, 2, True), (2, 9, True)]
    assert reading.load_study(engine, search).refits == ()


def test_what_nobody_has_begun_can_be_taken_out_again(engine: Engine, search: str) -> None:
    asked = wanted(1, 2, 3)
    repeats.add(engine, search, CONFIRM, [*asked, *wanted(1, trial=5)])
    name = repeats.name_of(search, CONFIRM)
    claim = leases.claim(engine, name, "w", 60)
    assert claim is not None
    leases.release(engine, claim)
    assert repeats.withdraw(engine, name, [one.key for one in asked]) == 2
    left = reading.load_study(engine, search).repeats
    assert [(run.trial, run.seed) for run in left] == [(0, 1), (5, 1)]
    claims = [leases.claim(engine, name, "w", 60) for _ in range(3)]
    assert [one and one.params["trial"] for one in claims] == [0, 5, None]
    assert repeats.withdraw(engine, repeats.name_of(search, FINAL), []) == 0


@pytest.mark.parametrize("kind", [None, "x", ""])
def test_trainings_of_an_unknown_kind_are_one_line(engine: Engine, record: StudyRecord, kind: str | None) -> None:
    writing.create_study(engine, record)
    with engine.begin() as connection:
        connection.execute(update(StudyRow).values(parent="s", kind=kind))
    for read in (repeats.parent_of, repeats.with_work, reading.load_study):
        with pytest.raises(DatabaseError, match=r"cannot be read \(ValueError: trainings of the kind .*by hand"):
            read(engine, "s")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
@pytest.mark.parametrize(
    "change",
    ["params = json_set(params, '$.trial', json('{}'))", 'extras = json(\'{"images": "x"}\')', "value = 'x'"],
)
def test_so_is_a_fresh_training(engine: Engine, search: str, change: str) -> None:
    repeats.add(engine, search, CONFIRM, wanted(1))
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE ft_trial SET {change.replace(':', chr(92) + ':')}"))
    with pytest.raises(DatabaseError, match="the store holds something that cannot be read"):
        reading.load_study(engine, search)


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # others check what is written to a column
@pytest.mark.parametrize(
    "change",
    [
        "extras = '{\"test\": 3}'",
        'extras = \'{"test": {"accuracy": "x"}}\'',
        'extras = \'{"views": {"accuracy": []}}\'',
        'extras = \'{"trainings": "many"}\'',
        "seconds = 'x'",
    ],
)
def test_a_refit_that_was_changed_by_hand_is_one_line(engine: Engine, search: str, change: str) -> None:
    key: dict[str, Any] = {"trial": 1, "data": "train", "epochs": 2, "ema": False, "tta": False}
    repeats.add(engine, search, FINAL, [RetrainingRequest(key, {}, "words", 7)])
    with engine.begin() as connection:
        connection.execute(text(f"UPDATE ft_trial SET {change.replace(':', chr(92) + ':')}"))
    with pytest.raises(DatabaseError, match=r"^the store holds something that cannot be read \(\w+: [^\n]*by hand"):
        reading.load_study(engine, search)
