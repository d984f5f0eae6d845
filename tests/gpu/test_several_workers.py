"""Processes and GPUs: two workers on one, a worker whose device is lost, a second device."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch
from device_trials import candidate_of, losses, opened, trained

from search import api
from search.records.study import TrialState
from search.training.precision import device_of
from search.workers.launchers.local import devices_for

pytestmark = pytest.mark.gpu
LOST = """
import torch
from search.training.out_of_memory import is_device_lost, is_out_of_memory
try:
    torch.nn.functional.cross_entropy(torch.randn(2, 3, device="cuda"), torch.tensor([0, 7], device="cuda")).item()
except RuntimeError as error:
    assert is_device_lost(error), error
    assert not is_out_of_memory(error), error
    print("lost")
"""


def test_two_workers_share_a_device(
    device: str, starts_processes: None, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(study_file.parent)
    study_file.write_text(study_file.read_text().replace("trials: 2", "trials: 4"))
    study = api.run_study(study_file, report=False, device=device, workers=2).study
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * 4
    assert len({trial.worker for trial in study.trials}) == 2


def test_a_lost_device_is_recognised(device: str, only_cuda: None) -> None:
    done = subprocess.run([sys.executable, "-c", LOST], capture_output=True, text=True, check=False)
    assert done.stdout.strip() == "lost", done.stderr[-500:]


def test_workers_take_the_gpus_in_turn(device: str) -> None:
    found = devices_for("auto", 3)
    count = torch.cuda.device_count()
    assert found == ([f"cuda:{number % count}" for number in range(3)] if count else ["auto"] * 3)
    assert device_of("auto").type == device


def test_a_second_device_trains_as_the_first(device: str, only_cuda: None, study_file: Path) -> None:
    if torch.cuda.device_count() < 2:
        pytest.skip("one GPU only")
    courses = []
    for place in ("cuda:0", "cuda:1"):
        runtime = opened(study_file, place)
        courses.append(losses(trained(runtime, candidate_of(runtime))))
    assert courses[1] == pytest.approx(courses[0], rel=1e-3)


def test_a_device_that_is_not_there_is_refused(device: str) -> None:
    with pytest.raises(ValueError, match="cuda:99"):
        device_of("cuda:99")
