from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import optuna
import pytest

from search import api
from search.errors import NotFoundError, UserError
from search.lifecycle import confirm
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.store import connection, reading, repeats, writing
from search.training import checkpoint
from search.workers.launchers import Placement
from spaces.errors import CandidateError

ROOT = Path(__file__).parents[2]


@pytest.fixture
def url(folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a store with a finished study of three trials, whose data have test images."""
    text = study_file.read_text().replace("val_share: 0.25", "val_share: 0.25, test_share: 0.2")
    study_file.write_text(text.replace("trials: 2", "trials: 3") + "faults: {lease: 2}\n")
    monkeypatch.chdir(tmp_path)
    found = f"sqlite:///{tmp_path}/store.db"
    api.run_study(study_file, storage=found, report=False)
    return found


def keys(study: StudyRecord) -> Counter[tuple[object, ...]]:
    return Counter((run.trial, run.seed, run.fold, run.folds, run.fraction) for run in study.repeats)


def confirm(url: str, **options: object) -> StudyRecord:
    return confirm.confirm_study("colours", storage=url, **options)  # type: ignore[arg-type]


def test_confirming_trains_every_candidate_with_every_seed_and_later_only_what_is_missing(url: str) -> None:
    before = api.load_study("colours", storage=url)
    first = confirm(url, top=1, seeds=2)
    winner = next(trial.number for trial in first.ranking if not trial.is_baseline)
    assert keys(first) == Counter({(trial, seed, 1, 1, 1.0): 1 for trial in (0, winner) for seed in (1, 2)})
    assert all(run.state is TrialState.COMPLETE and run.value is not None for run in first.repeats)

    started = []

    class Watching(api.Silent):
        def trial_started(self, number: int, words: str, epochs: int) -> None:
            started.append(words)

    second = confirm(url, top=1, seeds=3, observer=Watching())
    assert started == [f"trial {number}, seed 3" for number in (0, winner)]
    assert second.repeats[:4] == first.repeats
    assert confirm(url, top=1, seeds=3, observer=Watching()).repeats == second.repeats
    assert len(started) == 2
    # The search has not moved: same trials, in our tables and in Optuna's.
    assert api.load_study("colours", storage=url).trials == before.trials
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
    # 12 images a class: 2 for testing, and so 30 in training and validation together.
    assert {count for (_, share), count in images.items() if share == 1} == {20}
    assert {count for (_, share), count in images.items() if share == 0.5} <= {9, 10, 11}
    assert len(images) == 6
    assert {run.state for run in study.repeats} == {TrialState.COMPLETE}


def test_a_worker_of_the_study_takes_what_waits(url: str) -> None:
    confirm(url, top=1, seeds=1, only_enter=True)
    api.join_study("colours", storage=url)
    study = api.load_study("colours", storage=url)
    assert [run.state for run in study.repeats] == [TrialState.COMPLETE] * 2
    assert len(study.trials) == 3


def test_a_confirmation_killed_and_started_again_has_every_training_once(url: str) -> None:
    arguments = ["confirm", "colours", "--top", "2", "--seeds", "3", "--storage", url, "--device", "cpu"]
    process = subprocess.Popen(
        [sys.executable, "-m", "search", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.DEVNULL,
    )
    _await(url, lambda runs: any(run.state is TrialState.COMPLETE for run in runs))
    os.kill(process.pid, signal.SIGKILL)
    process.wait()
    half = api.load_study("colours", storage=url).repeats
    whole = confirm(url, top=2, seeds=3)
    assert keys(whole) == Counter({(trial, seed, 1, 1, 1.0): 1 for trial in (0, 1, 2) for seed in (1, 2, 3)})
    assert all(run.state is TrialState.COMPLETE for run in whole.repeats)
    done = [run for run in half if run.state is TrialState.COMPLETE]
    assert [run for run in whole.repeats if run in done] == done
    again = api.load_study("colours", storage=url)
    assert len(again.trials) == 3


def _await(url: str, is_so: object) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end:
        if is_so(api.load_study("colours", storage=url).repeats):  # type: ignore[operator]
            return
        time.sleep(0.05)
    raise AssertionError("the confirmation did not get anywhere")


def test_numbers_without_sense_are_refused_and_leave_nothing_behind(url: str, tmp_path: Path) -> None:
    with pytest.raises(UserError, match="--top must be at least 1, got 0"):
        confirm(url, top=0)
    with pytest.raises(UserError, match="above 0 and at most 1, got 2"):
        confirm(url, fractions=(0.5, 2.0))
    with pytest.raises(UserError, match="--folds 11: the class 'blue' has 10 images"):
        confirm(url, folds=11)
    with pytest.raises(NotFoundError, match="did you mean 'colours'"):
        confirm.confirm_study("colour", storage=url)
    with pytest.raises(UserError, match="at least 1"):
        confirm.refit_study("colours", storage=url, epochs=0)
    with pytest.raises(UserError, match=r"--on: expected train\+val or train, got 'test'"):
        confirm.refit_study("colours", storage=url, on="test")
    with pytest.raises(NotFoundError, match="no trial 99"):
        confirm.refit_study("colours", storage=url, candidate="99")
    for device in ("tpu", "cuda:77"):
        with pytest.raises(UserError, match=f"device.*{device}"):
            confirm(url, device=device)
        with pytest.raises(UserError, match=f"device.*{device}"):
            confirm.refit_study("colours", storage=url, device=device)
    with pytest.raises(UserError, match="--engine: expected one of"):
        confirm(url, placement=Placement("rey"))
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(UserError, match=r"the candidate .*broken.json is no JSON"):
        confirm.refit_study("colours", storage=url, candidate=str(tmp_path / "broken.json"))
    found = api.load_study("colours", storage=url)
    assert (found.repeats, found.refits) == ((), ())


def test_a_study_without_a_complete_trial_has_nothing_to_confirm(url: str) -> None:
    study = api.load_study("colours", storage=url)
    engine = connection.connect(url)
    writing.create_study(engine, replace(study, name="empty", trials=()))
    engine.dispose()
    with pytest.raises(UserError, match="no complete trial yet, so there is nothing to confirm"):
        confirm.confirm_study("empty", storage=url)
    with pytest.raises(UserError, match="no complete trial yet; name a trial or a candidate's file"):
        confirm.refit_study("empty", storage=url)


def test_a_refit_is_trained_once_and_looks_at_the_test_images_once(url: str, tmp_path: Path) -> None:
    study, first = confirm.refit_study("colours", storage=url, ema=True, tta=True)
    assert study.best is not None
    assert (first.trial, first.data, first.epochs, first.look) == (study.best.number, "train+val", 4, 1)
    assert first.images == 30
    assert set(first.test) >= {"accuracy", "loss"}
    assert first.evaluation is not None
    assert sum(result.support for result in first.evaluation.classes) == 6
    kept = checkpoint.get(api.open_artifacts("colours", storage=url), first.checkpoint or "")
    assert kept.facts["test"] == pytest.approx(dict(first.test))
    assert kept.facts["refit"]["images"] == 30

    class Refusing(api.Silent):
        def trial_started(self, number: int, words: str, epochs: int) -> None:
            raise AssertionError("trained twice")

    assert confirm.refit_study("colours", storage=url, ema=True, tta=True, observer=Refusing())[1] == first
    _, second = confirm.refit_study("colours", storage=url, on="train", epochs=1)
    assert (second.look, second.images) == (2, 21)
    api.delete_study("colours", storage=url)
    assert not list(tmp_path.glob("runs/colours/*.safetensors"))


def test_without_test_images_nothing_is_scored(
    folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = f"sqlite:///{tmp_path}/store.db"
    api.run_study(study_file, storage=found, report=False)
    _, refit = confirm.refit_study("colours", storage=found, epochs=1)
    assert (dict(refit.test), refit.look, refit.evaluation) == ({}, None, None)
    assert refit.state is TrialState.COMPLETE
    assert refit.checkpoint
    assert "no test images" in refit.ended


def test_a_candidates_file_is_refit_and_one_of_another_backbone_refused(url: str, tmp_path: Path) -> None:
    plain = api.load_study("colours", storage=url).trials[1].candidate
    (tmp_path / "own.json").write_text(json.dumps({"candidate": plain, "value": 1}))
    _, refit = confirm.refit_study("colours", storage=url, candidate=str(tmp_path / "own.json"), epochs=1)
    assert refit.trial is None
    assert refit.candidate == plain
    other = {**plain, "structure": {**plain["structure"], "backbone": "torchvision:resnet18"}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(CandidateError, match="for torchvision:resnet18, this study has torchvision:squeezenet1_1"):
        confirm.refit_study("colours", storage=url, candidate=str(tmp_path / "other.json"))
    assert len(api.load_study("colours", storage=url).refits) == 1


def test_a_refit_that_was_interrupted_ends_as_one_that_was_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class Leaving(api.Silent):
        epochs: Sequence[int] = ()

        def epoch_done(self, number: int, epoch: EpochRecord) -> None:
            self.epochs = (*self.epochs, epoch.epoch)
            if epoch.epoch == 2 and len(self.epochs) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    watching = Leaving()
    _, stopped = confirm.refit_study("colours", storage=url, candidate="1", ema=True, observer=watching)
    assert stopped.state is TrialState.WAITING
    assert stopped.look is None
    _, resumed = confirm.refit_study("colours", storage=url, candidate="1", ema=True, observer=watching)
    assert watching.epochs == (1, 2, 3, 4)
    plain = json.dumps(resumed.candidate)
    Path("same.json").write_text(plain)
    _, whole = confirm.refit_study("colours", storage=url, candidate="same.json", ema=True)
    shelf = api.open_artifacts("colours", storage=url)
    first, second = (checkpoint.get(shelf, refit.checkpoint or "") for refit in (resumed, whole))
    assert first.tensors.keys() == second.tensors.keys()
    assert all((first.tensors[name] == second.tensors[name]).all() for name in first.tensors)
    assert dict(resumed.test) == dict(whole.test)
