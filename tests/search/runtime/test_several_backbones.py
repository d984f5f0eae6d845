from __future__ import annotations

from pathlib import Path

import pytest

from search.api import load_study, run_study
from search.errors import StudyBackboneError
from search.records.study import TrialState
from search.runtime.several_backbones import StudyRuntimes, open_runtimes
from search.runtime.study_record import study_record
from search.spec.load import load_spec


@pytest.fixture
def listed(study_file: Path) -> Path:
    """A study of five trials that chooses between two backbones."""
    text = study_file.read_text().replace("backbone: squeezenet1_1", "backbone: [squeezenet1_1, mnasnet0_5]")
    study_file.write_text(text.replace("trials: 2", "trials: 5").replace("epochs: 2", "epochs: 1"))
    return study_file


def test_only_the_first_backbone_is_opened_before_a_trial_needs_another(listed: Path) -> None:
    runtime = open_runtimes(load_spec(listed), "cpu")
    assert isinstance(runtime, StudyRuntimes)
    assert runtime.pretrained.backbone == "torchvision:squeezenet1_1"
    record = study_record(runtime)
    assert record.backbone == "torchvision:squeezenet1_1, torchvision:mnasnet0_5"
    assert record.identity["backbone"] == ["torchvision:squeezenet1_1", "torchvision:mnasnet0_5"]
    opened = runtime.named("torchvision:mnasnet0_5")
    assert opened.pretrained.backbone == "torchvision:mnasnet0_5"
    assert opened.store is runtime.store
    assert opened.dataset is runtime.dataset
    assert runtime.named("torchvision:mnasnet0_5") is opened


def test_a_study_of_two_backbones_runs_and_tries_each_in_turn(listed: Path, tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/store.db"
    study = run_study(listed, storage=url, device="cpu", folder=tmp_path / "runs").study
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 5
    tried = [trial.candidate["structure"]["backbone"] for trial in study.trials]
    assert tried[:2] == ["torchvision:squeezenet1_1", "torchvision:mnasnet0_5"]
    for trial, backbone in zip(study.trials[1:], tried[1:], strict=True):
        assert trial.params["backbone"] == backbone
        assert all(name == "backbone" or name.endswith(f"@{backbone}") for name in trial.params)
    assert study.best is not None
    again = run_study(listed, storage=url, trials=6, device="cpu", folder=tmp_path / "runs").study
    assert len(again.trials) == 6


def test_a_backbone_that_a_range_does_not_fit_ends_the_run_by_name(listed: Path, tmp_path: Path) -> None:
    listed.write_text(
        listed.read_text()
        .replace("tail: {high: 3}", "tail: {high: 8}")
        .replace("input_size: 32", "input_size: 64")
        .replace("mnasnet0_5", "alexnet")
    )
    with pytest.raises(StudyBackboneError, match=r"backbone torchvision:alexnet: .*tail"):
        run_study(listed, storage=f"sqlite:///{tmp_path}/store.db", device="cpu", folder=tmp_path / "runs")
    study = load_study("colours", storage=f"sqlite:///{tmp_path}/store.db")
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE, TrialState.WAITING]


def test_one_backbone_opens_an_ordinary_runtime(study_file: Path) -> None:
    assert not isinstance(open_runtimes(load_spec(study_file), "cpu"), StudyRuntimes)
