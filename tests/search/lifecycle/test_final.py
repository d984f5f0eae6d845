"""A run ends with a model to use: chosen among the best few, trained on all that is not test, exported, once."""

from __future__ import annotations

import os
import signal
from collections import Counter
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest
import torch

from search.api import export_study, load_model, open_artifacts, run_study
from search.artifacts.stores import Folder
from search.errors import TrialError
from search.lifecycle.run import StudyResult
from search.model import folder as model_folder
from search.model.predict import network_in, predict
from search.records import choice
from search.records.study import EpochRecord, StudyRecord, TrialState
from search.spec.candidates import read_candidate
from search.store import connection, reading
from search.training import checkpoint
from search.trials.observer import Silent
from search.workers import final_model
from spaces.networks import branches

ROOT = Path(__file__).parents[3]
MODEL = Path("runs/colours/model")


@pytest.fixture
def study(study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., StudyResult]:
    """Runs a study of four trials that ends with a model, in a folder of its own."""
    monkeypatch.chdir(tmp_path)
    text = study_file.read_text().replace("trials: 2", "trials: 4").replace("final: off", "final: {share: 0.8}")
    study_file.write_text(
        text.replace("val_share: 0.25", "val_share: 0.25, test_share: 0.2")
        + "faults: {lease: 2, database_timeout: 3}\n"
    )
    return lambda **options: run_study(study_file, report=False, **options)


@pytest.fixture
def searched(
    study: Callable[..., StudyResult], made_once: Callable[[str, Callable[[], object]], None]
) -> Callable[..., StudyResult]:
    """Continues that study after its search, which all tests share."""
    made_once("searched", lambda: study(final=False))
    return study


class Watching(Silent):
    def __init__(self) -> None:
        self.begun: list[str] = []

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        self.begun.append(words)


def chosen_by_hand(record: StudyRecord) -> int:
    """Return the winner by the text of the promise: best mean of all trainings, then the fewest parameters."""
    means = {}
    for trial in record.ranking:
        fresh = [run.value for run in record.repeats if run.trial == trial.number]
        if fresh:
            means[trial.number] = sum([trial.value, *fresh]) / (1 + len(fresh))  # type: ignore[list-item]
    sizes = {trial.number: trial.size.parameters for trial in record.trials if trial.size}
    return min(means, key=lambda number: (-round(means[number], 9), sizes[number]))


def test_a_run_ends_with_the_best_mean_trained_on_train_and_validation_data(study: Callable[..., StudyResult]) -> None:
    result = study()
    record = result.study
    assert result.notes == ()
    again = Counter(run.trial for run in record.repeats)
    assert [trial.number for trial in choice.may_be_best(record, 3)] == list(again)
    assert len(again) > 1
    assert set(again.values()) == {3 // len(again)}  # 0.8 of four trials are three trainings
    assert record.best is not None
    assert record.best.number == chosen_by_hand(record)
    (final,) = record.finals
    assert (final.trial, final.state, final.images) == (record.best.number, TrialState.COMPLETE, 30)
    assert (dict(final.test), final.look, record.refits) == ({}, None, ())
    kept = checkpoint.get(open_artifacts("colours"), final.checkpoint or "")
    assert kept.facts["candidate"] == record.best.candidate
    assert result.model is not None
    facts = model_folder.read(result.model)
    assert facts.name == "colours-final-0"
    assert facts.metrics["accuracy"] == record.best.value
    assert "no image is left to score it on" in facts.measured_on
    images = sorted(Path("colours").rglob("*.png"))[:2]
    predicted = list(predict(load_model(MODEL), images, 1))
    assert {one.answers[0].label for one in predicted} <= {"red", "green", "blue"}


def test_best_is_the_final_model_and_a_number_the_searched_one(searched: Callable[..., StudyResult]) -> None:
    record = searched().study
    best = export_study("colours", output="a").facts
    assert best.name == "colours-final-0"
    assert record.best is not None
    assert export_study("colours", candidate=str(record.best.number), output="b").facts.trial == record.best.number


def test_nothing_happens_twice_and_a_new_winner_gets_a_new_model(
    searched: Callable[..., StudyResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    first = searched().study
    before = (MODEL / "model.json").stat().st_mtime_ns
    watching = Watching()
    again = searched(observer=watching)
    assert watching.begun == []
    assert again.model == Path("runs/colours/model")
    assert (MODEL / "model.json").stat().st_mtime_ns == before
    assert (again.study.finals, again.study.repeats) == (first.finals, first.repeats)
    _worsen(first.best.number if first.best else 0)
    longer = searched(trials=5).study
    assert longer.best is not None
    assert first.best is not None
    assert longer.best.number != first.best.number
    assert [one.trial for one in longer.finals] == [first.best.number, longer.best.number]
    assert model_folder.read(MODEL).name == "colours-final-1"


def _worsen(number: int) -> None:
    engine = connection.connect("sqlite:///runs/ftsearch.db")
    with engine.begin() as link:
        link.exec_driver_sql(f"UPDATE ft_trial SET value = 0.01 WHERE number = {number} AND optuna_number IS NOT NULL")
    engine.dispose()


def test_a_run_without_a_final_model_may_make_one_later(study: Callable[..., StudyResult]) -> None:
    result = study(final=False)
    assert (result.model, result.study.finals, result.study.repeats) == (None, (), ())
    assert not MODEL.exists()
    assert len(study().study.finals) == 1


def test_a_final_training_that_fails_loses_nothing_and_is_tried_again(
    searched: Callable[..., StudyResult], monkeypatch: pytest.MonkeyPatch
) -> None:
    def put(self: Folder, name: str, content: bytes) -> None:
        if name.startswith("final-"):
            raise TrialError("the weights are odd", "error")
        kept(self, name, content)

    kept = Folder.put
    with monkeypatch.context() as patch:
        patch.setattr(Folder, "put", put)
        result = searched()
    assert result.notes == ("no final model: its training failed: the weights are odd",)
    assert len(result.study.ranking) == 4
    assert result.study.best is not None
    assert model_folder.read(MODEL).name == f"colours-trial-{result.study.best.number}"
    mended = searched()
    assert (mended.notes, len(mended.study.finals)) == ((), 1)
    assert model_folder.read(MODEL).name == "colours-final-0"


def test_a_model_folder_with_other_files_is_left_alone(searched: Callable[..., StudyResult]) -> None:
    MODEL.mkdir(parents=True)
    (MODEL / "thesis.txt").write_text("mine")
    result = searched()
    assert result.model is None
    assert "holds other files (thesis.txt)" in result.notes[0]
    assert (MODEL / "thesis.txt").read_text() == "mine"
    assert len(result.study.finals) == 1


def test_too_little_time_is_reported_and_leaves_the_searched_model(study: Callable[..., StudyResult]) -> None:
    result = study(timeout_s=1e-3)
    assert (result.study.ranking, result.model, result.notes) == ((), None, ())
    whole = study(final=False).study
    short = study(timeout_s=1e-3)
    assert [note.split(":")[0] for note in short.notes] == [
        "the best candidates were not trained again",
        "no final model",
    ]
    assert "of the budget are left" in short.notes[1]
    assert short.study.finals == ()
    assert whole.best is not None
    assert model_folder.read(MODEL).name == f"colours-trial-{whole.best.number}"


class Killing(Silent):
    """Ends this process in the middle of the final training."""

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        self.words = words

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        if self.words.startswith("trained on"):
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_run_interrupted_in_its_final_training_goes_on_with_it(searched: Callable[..., StudyResult]) -> None:
    result = searched(observer=Killing())
    assert result.model is None
    (half,) = result.study.finals
    assert half.state in (TrialState.WAITING, TrialState.COMPLETE)
    whole = searched()
    assert [one.number for one in whole.study.finals] == [0]
    assert whole.study.finals[0].state is TrialState.COMPLETE
    assert model_folder.read(MODEL).name == "colours-final-0"


TWO_WORKERS = """
import multiprocessing, sys
from search.api import join_study
fork = multiprocessing.get_context("fork")
workers = [fork.Process(target=join_study, args=("colours",), kwargs={"device": "cpu"}) for _ in range(2)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
sys.exit(any(worker.exitcode for worker in workers))
"""


def test_several_workers_make_one_final_model(
    searched: Callable[..., StudyResult], start_program: Callable[..., BaseProcess]
) -> None:
    study_file = Path("study.yaml")
    engine = connection.connect("sqlite:///runs/ftsearch.db")
    with engine.begin() as link:
        text = link.exec_driver_sql("SELECT spec FROM ft_study WHERE name = 'colours'").scalar_one()
        link.exec_driver_sql(
            "UPDATE ft_study SET spec = ?", (text.replace('"final": "off"', '"final": {"share": 0.8}'),)
        )
    workers = start_program(TWO_WORKERS)
    workers.join(240)
    assert workers.exitcode == 0, Path("output.err").read_text()[-4000:]
    record = reading.load_study(engine, "colours")
    engine.dispose()
    assert study_file.exists()
    assert len(record.finals) == 1
    assert record.finals[0].state is TrialState.COMPLETE
    assert Counter((run.trial, run.seed) for run in record.repeats).most_common(1)[0][1] == 1


class Interrupting(Silent):
    """Asks this process to end after the second epoch of a soup's second training, once."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        self.words = words

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        if self.words.startswith("trained on") and epoch.epoch == self.epochs + 1:
            os.kill(os.getpid(), signal.SIGTERM)


def test_a_soup_interrupted_in_its_second_training_is_the_one_of_an_undisturbed_run(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = study_file.read_text().replace("trials: 2", "trials: 1").replace("final: off", "final: {soup: 2}")
    study_file.write_text(text)
    monkeypatch.setattr(final_model, "SOUPS_SHARE", 100.0)
    monkeypatch.setattr(branches, "count_for", lambda network, most: most)  # though nothing is frozen here
    weights, records = [], []
    for place in ("whole", "interrupted"):
        (tmp_path / place).mkdir()
        monkeypatch.chdir(tmp_path / place)
        if records:
            half = run_study(study_file, report=False, observer=Interrupting(records[0].epochs)).study.finals[0]
            assert half.state is TrialState.WAITING
        (final,) = run_study(study_file, report=False).study.finals
        records.append(final)
        weights.append(checkpoint.get(open_artifacts("colours"), final.checkpoint or "").tensors)
        left = [
            name
            for name in open_artifacts("colours").names()
            if not name.startswith(("trial-", "final-", "artifacts-"))
        ]
        assert left == []
    assert [one.trainings for one in records] == [2, 2]
    assert all(torch.equal(value, weights[1][name]) for name, value in weights[0].items())
    # What is shipped gives the mean of what both trainings and the start give, and counts what it computes.
    assert [(one.branches, one.has_start) for one in records] == [(3, True)] * 2
    images, model = torch.randn(2, 3, 64, 64), load_model(MODEL)
    state = dict(model.network.named_state())  # type: ignore[operator]
    parts = [
        {name: state.get(f"{begin}{name}", value) for name, value in state.items() if not name.startswith("branches.")}
        for begin in ("", "branches.1.", "branches.2.")
    ]
    candidate, facts = read_candidate(MODEL), model.facts
    with torch.inference_mode():
        alone = torch.stack([network_in(MODEL, facts, candidate, part)(images) for part in parts])
        torch.testing.assert_close(model.network(images), alone.mean(dim=0))
    assert not torch.allclose(alone[0], alone[1])
    assert facts.words.endswith(", 3 branches")
    assert facts.parameters == sum(one.numel() for one in model.network.parameters())
    assert facts.flops == records[1].flops
    checks = export_study("colours", formats=("onnx", "pt2"), output="graphs").facts.checks  # each opened and compared
    assert [check.format for check in checks] == ["onnx", "pt2"]


def test_a_linear_probe_that_wins_sees_both_mirror_images(study_file: Path, tmp_path: Path, monkeypatch: Any) -> None:
    monkeypatch.chdir(tmp_path)
    study_file.write_text(
        study_file.read_text().replace("portfolio: off, ", "").replace("final: off", "final: {top: 1}")
    )
    assert run_study(study_file, report=False, final=False).study.trials[0].words.endswith("units frozen")
    _worsen(1)  # the plain recipe
    record = run_study(study_file, report=False).study
    (final,) = record.finals
    assert record.best is not None
    assert record.best.size is not None
    assert (final.trial, final.is_mirrored, final.flops) == (0, True, 2 * record.best.size.flops)
    model, images = load_model(MODEL), torch.randn(2, 3, 64, 64)
    assert model.facts.flops == final.flops
    assert model.facts.words.endswith("units frozen, mirror images averaged")
    state = {name: value for name, value in model.network.named_state().items() if name != "mirrored"}
    plain = network_in(MODEL, model.facts, read_candidate(MODEL), state)
    with torch.inference_mode():
        expected = (plain(images) + plain(images.flip(3))) / 2
        torch.testing.assert_close(model.network(images), expected)
        assert not torch.allclose(plain(images), expected, rtol=1e-3)
    checks = export_study("colours", formats=("onnx", "pt2"), output="graphs").facts.checks
    assert [check.format for check in checks] == ["onnx", "pt2"]
