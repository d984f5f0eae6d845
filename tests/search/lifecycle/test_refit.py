"""A refit is trained once, resumed when it was interrupted, and scored on the test images once."""

from __future__ import annotations

import json
import os
import signal
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.api import (
    delete_study,
    export_study,
    load_model,
    load_study,
    open_artifacts,
    open_study,
    refit_study,
    run_study,
)
from search.data.sample import Split
from search.errors import UserError
from search.model.predict import predict
from search.records.study import EpochRecord, TrialState
from search.report.confirmed import sentences
from search.training import checkpoint
from search.trials.observer import Silent
from spaces.errors import CandidateError


def test_a_refit_is_trained_once_and_looks_at_the_test_images_once(url: str, tmp_path: Path) -> None:
    study, first = refit_study("colours", storage=url, ema=True, tta=True)
    assert study.best is not None
    assert (first.trial, first.data, first.epochs, first.look) == (study.best.number, "train+val", 4, 1)
    assert first.images == 30
    assert set(first.test) >= {"accuracy", "loss"}
    assert first.evaluation is not None
    assert sum(result.support for result in first.evaluation.classes) == 6
    kept = checkpoint.get(open_artifacts("colours", storage=url), first.checkpoint or "")
    assert kept.facts["test"] == pytest.approx(dict(first.test))
    assert kept.facts["refit"]["images"] == 30

    # The number that is shown is that of the model that is shipped; averaged over views it is another one.
    done = export_study("colours", candidate="refit", storage=url, output=tmp_path / "model")
    assert done.facts.metrics == pytest.approx(dict(first.test))
    samples = open_study(tmp_path / "study.yaml", device="cpu").dataset.of(Split.TEST)
    paths = [Path(sample.input.name) for sample in samples]
    labels = [found.answers[0].label for found in predict(load_model(tmp_path / "model"), paths, 1)]
    right = sum(label == path.parent.name for label, path in zip(labels, paths, strict=True))
    assert first.test["accuracy"] == pytest.approx(right / 6)
    assert set(first.views) == set(first.test)
    assert first.views["loss"] != first.test["loss"]
    assert f"({first.views['accuracy']:.4f} averaged over views of each, which" in " ".join(sentences(study))

    class Refusing(Silent):
        def trial_started(self, number: int, words: str, epochs: int) -> None:
            raise AssertionError("trained twice")

    assert refit_study("colours", storage=url, ema=True, tta=True, observer=Refusing())[1] == first
    _, second = refit_study("colours", storage=url, on="train", epochs=1)
    assert (second.look, second.images) == (2, 21)
    delete_study("colours", storage=url)
    assert not list(tmp_path.glob("runs/colours/*.safetensors"))


def test_without_test_images_nothing_is_scored(
    folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    found = f"sqlite:///{tmp_path}/store.db"
    run_study(study_file, storage=found, report=False)
    _, refit = refit_study("colours", storage=found, epochs=1)
    assert (dict(refit.test), refit.look, refit.evaluation) == ({}, None, None)
    assert refit.state is TrialState.COMPLETE
    assert refit.checkpoint
    assert "no test images" in refit.ended


def test_a_candidates_file_is_refit_and_one_of_another_backbone_refused(url: str, tmp_path: Path) -> None:
    plain = load_study("colours", storage=url).trials[1].candidate
    (tmp_path / "own.json").write_text(json.dumps({"candidate": plain, "value": 1}))
    _, refit = refit_study("colours", storage=url, candidate=str(tmp_path / "own.json"), epochs=1)
    assert refit.trial is None
    assert refit.candidate == plain
    other = {**plain, "structure": {**plain["structure"], "backbone": "torchvision:resnet18"}}
    (tmp_path / "other.json").write_text(json.dumps(other))
    with pytest.raises(CandidateError, match="for torchvision:resnet18, this study has torchvision:squeezenet1_1"):
        refit_study("colours", storage=url, candidate=str(tmp_path / "other.json"))
    assert len(load_study("colours", storage=url).refits) == 1


def test_a_refit_that_was_interrupted_ends_as_one_that_was_not(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    class StopSignal(Silent):
        epochs: Sequence[int] = ()

        def epoch_done(self, number: int, epoch: EpochRecord) -> None:
            self.epochs = (*self.epochs, epoch.epoch)
            if epoch.epoch == 2 and len(self.epochs) == 2:
                os.kill(os.getpid(), signal.SIGTERM)

    watching = StopSignal()
    _, stopped = refit_study("colours", storage=url, candidate="1", ema=True, observer=watching)
    assert stopped.state is TrialState.WAITING
    assert stopped.look is None
    _, resumed = refit_study("colours", storage=url, candidate="1", ema=True, observer=watching)
    assert watching.epochs == (1, 2, 3, 4)
    plain = json.dumps(resumed.candidate)
    Path("same.json").write_text(plain)
    _, whole = refit_study("colours", storage=url, candidate="same.json", ema=True)
    artifact_store = open_artifacts("colours", storage=url)
    first, second = (checkpoint.get(artifact_store, refit.checkpoint or "") for refit in (resumed, whole))
    assert first.tensors.keys() == second.tensors.keys()
    assert all((first.tensors[name] == second.tensors[name]).all() for name in first.tensors)
    assert dict(resumed.test) == dict(whole.test)


@pytest.mark.parametrize(
    ("options", "model_format"),
    [
        ({"on": "train", "tta": True}, "onnx"),
        ({"ema": True}, "safetensors"),
        ({"on": "train", "ema": True}, "safetensors"),
    ],
)
def test_the_card_has_the_score_of_what_predict_says(
    url: str, tmp_path: Path, options: dict[str, Any], model_format: str
) -> None:
    _, refit = refit_study("colours", storage=url, candidate="baseline", epochs=2, **options)
    export_study("colours", candidate="refit", storage=url, output=tmp_path / "model", formats=(model_format,))
    samples = open_study(tmp_path / "study.yaml", device="cpu").dataset.of(Split.TEST)
    paths = [Path(sample.input.name) for sample in samples]
    labels = [found.answers[0].label for found in predict(load_model(tmp_path / "model"), paths, 1)]
    right = sum(label == path.parent.name for label, path in zip(labels, paths, strict=True)) / len(paths)
    facts = json.loads((tmp_path / "model" / "model.json").read_text())
    assert facts["metrics"] == pytest.approx(dict(refit.test))
    assert refit.test["accuracy"] == pytest.approx(right)
    assert "averaged over views" not in facts["measured_on"]


@pytest.mark.parametrize("task", ["regression", "multilabel", "segmentation"])
def test_views_are_not_averaged_where_outputs_are_no_classes_of_an_image(
    url: str, task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    study = replace(load_study("colours", storage=url), task=task)
    monkeypatch.setattr("search.lifecycle.refit.searched_study", lambda *_: study)
    with pytest.raises(UserError, match=f"and the task {task} has none; leave it out"):
        refit_study("colours", storage=url, tta=True)
    assert load_study("colours", storage=url).refits == ()
