"""torch.compile on a GPU, with and without CUDA graphs: the same course, whether it pays or not."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from device_trials import candidate_of, losses, opened, trained

from search.training import compiling
from search.training.compiling import Mode

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize("mode", ["auto", "graphs", "always"])
def test_compiled_training_is_training(
    mode: Mode, device: str, starts_processes: None, study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if device == "cpu":  # a rehearsal need not wait for a compiler
        plain: Any = torch.compile
        monkeypatch.setattr(torch, "compile", lambda run, **_: plain(run, backend="eager", dynamic=False))
    monkeypatch.setattr(compiling, "_experience", {f"squeezenet {device} {mode}": compiling.Experience(100.0, 0.0)})
    monkeypatch.setattr(compiling, "_TIMED", 2)
    runtime = opened(study_file, device, epochs=5)
    candidate = candidate_of(runtime)
    expected = losses(trained(runtime, candidate))
    result = trained(runtime, candidate, lambda plan: replace(plan, compiling=mode, backbone="squeezenet"))
    assert losses(result) == pytest.approx(expected, rel=0.02)
    assert "compile" in result.facts
    assert "cannot be compiled" not in str(result.facts["compile"].get("why"))
