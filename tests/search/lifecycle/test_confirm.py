from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import optuna
import pytest

from search.api import confirm_study, load_study, refit_study
from search.errors import UserError
from search.records.study import StudyRecord, TrialState
from search.store import connection, reading, repeats, writing
from search.trials.observer import Silent

ROOT = Path(__file__).parents[3]


def keys(study: StudyRecord) -> Counter[tuple[object, ...]]:
    return Counter((run.trial, run.seed, run.fold, run.folds, run.fraction) for run in study.repeats)


def confirm(url: str, **options: object) -> StudyRecord:
    return confirm_study("colours", storage=url, **options)  # type: ignore[arg-type]


def test_confirming_trains_every_candidate_with_every_seed_and_later_only_what_is_missing(url: str) -> None:
    before = load_study("colours", storage=url)
    first = confirm(url, top=1, seeds=2)
    trained = next(trial.number for trial in first.ranking if not trial.is_baseline)
    assert keys(first) == Counter({(trial, seed, 1, 1, 1.0): 1 for trial in (0, trained) for seed in (1, 2)})
    assert all(run.state is TrialState.COMPLETE and run.value is not None for run in first.repeats)

    started = []

    class Watching(Silent):
        def trial_started(self, number: int, words: str, epochs: int) -> None:
            started.append(words)

    second = confirm(url, top=1, seeds=3, observer=Watching())
    assert started == [f"trial {number}, seed 3" for number in (0, trained)]
    assert second.repeats[:4] == first.repeats
    assert confirm(url, top=1, seeds=3, observer=Watching()).repeats == second.repeats
    assert len(started) == 2
    # The search has not moved: same trials, in our tables and in Optuna's.
    assert load_study("colours", storage=url).trials == before.trials
    assert len(optuna.load_study(study_name="colours", storage=url).trials) == 3
    assert [name.study_name for name in optuna.get_all_study_summaries(url)] == ["colours"]


def test_fresh_seeds_differ_and_are_the_same_for_all_candidates(url: str) -> None:
    confirm(url, top=2, seeds=2, only_enter=True)
    engine = connection.connect(url)
    rows = reading.load_study(engine, repeats.name_of("colours", repeats.CONFIRM)).trials
    searched = {trial.seed for trial in reading.load_study(engine, "colours").trials}
    engine.dispose()
    by_seed: dict[int, set[int | None]] = {}
    for row in rows:
        by_seed.setdefault(row.params["seed"], set()).add(row.seed)
    assert all(len(found) == 1 for found in by_seed.values())
    assert len(set.union(*by_seed.values())) == 2
    assert not set.union(*by_seed.values()) & searched
    assert {row.state for row in rows} == {TrialState.WAITING}


def test_folds_and_fractions_are_trained_on_what_they_say(url: str) -> None:
    study = confirm(url, top=1, seeds=1, folds=3, fractions=(0.5, 1.0))
    images = {(run.fold, run.fraction): run.images for run in study.repeats if run.trial == 0}
    # 12 images per class: 2 for testing, and so 30 in training and validation together.
    assert {count for (_, share), count in images.items() if share == 1} == {20}
    assert {count for (_, share), count in images.items() if share == 0.5} <= {9, 10, 11}
    assert len(images) == 6
    assert {run.state for run in study.repeats} == {TrialState.COMPLETE}


def test_a_confirmation_killed_and_started_again_has_every_training_once(
    url: str, start_program: Callable[..., BaseProcess]
) -> None:
    arguments = ["confirm", "colours", "--top", "2", "--seeds", "2", "--storage", url, "--device", "cpu"]
    process = start_program(f"from search.cli import main\nmain({arguments})")
    _await(url, lambda runs: any(run.state is TrialState.COMPLETE for run in runs))
    process.kill()
    process.join()
    half = load_study("colours", storage=url).repeats
    whole = confirm(url, top=2, seeds=2)
    assert keys(whole) == Counter({(trial, seed, 1, 1, 1.0): 1 for trial in (0, 1, 2) for seed in (1, 2)})
    assert all(run.state is TrialState.COMPLETE for run in whole.repeats)
    done = [run for run in half if run.state is TrialState.COMPLETE]
    assert [run for run in whole.repeats if run in done] == done
    again = load_study("colours", storage=url)
    assert len(again.trials) == 3


def _await(url: str, is_so: object) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if is_so(load_study("colours", storage=url).repeats):  # type: ignore[operator]
            return
        time.sleep(0.2)
    raise AssertionError("the confirmation did not get anywhere")


def test_a_study_without_a_complete_trial_has_nothing_to_confirm(url: str) -> None:
    study = load_study("colours", storage=url)
    engine = connection.connect(url)
    writing.create_study(engine, replace(study, name="empty", trials=()))
    engine.dispose()
    with pytest.raises(UserError, match="no complete trial yet, so there is nothing to confirm"):
        confirm_study("empty", storage=url)
    with pytest.raises(UserError, match="no complete trial yet; `ftsearch status empty`"):
        refit_study("empty", storage=url)
