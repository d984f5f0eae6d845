"""Memory of a GPU: a batch that does not fit is halved, one sample that does not ends the trial, and all comes back."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from device_trials import candidate_of, losses, opened, trained
from torch import nn

from search.errors import TrialError
from search.runtime.study_runtime import StudyRuntime
from search.training import memory_budget, out_of_memory
from search.training.fit import TrainingResult, fit

pytestmark = pytest.mark.gpu


class Hungry(nn.Module):
    """Takes ``megabytes`` for each sample while it runs, and passes its input on."""

    def __init__(self, megabytes: int) -> None:
        super().__init__()
        self.megabytes = megabytes

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        held = torch.empty((len(images), self.megabytes << 20), dtype=torch.uint8, device=images.device)
        return images + held[0, :1].float() * 0


@contextmanager
def room_for(samples: int, device: str) -> Iterator[int]:
    """Leave memory for so many samples of a hungry network, 1 GB each on a GPU; yield the MB of one."""
    if torch.cuda.is_available() and torch.cuda.get_device_name() != "stand-in":
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.empty_cache()
        torch.cuda.set_per_process_memory_fraction((torch.cuda.memory_reserved() + (samples + 0.5) * 2**30) / whole)
        try:
            yield 1024
        finally:
            torch.cuda.set_per_process_memory_fraction(1.0)
        return
    plain = Hungry.forward

    def limited(self: Hungry, images: torch.Tensor) -> torch.Tensor:
        if len(images) > samples:
            raise torch.OutOfMemoryError("CUDA out of memory (rehearsed)")
        return plain(self, images)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Hungry, "forward", limited)
        yield 1


def hungrily(runtime: StudyRuntime, megabytes: int, **changes: Any) -> TrainingResult:
    candidate = candidate_of(runtime)
    network = runtime.build(candidate, 0)
    hungry, whole = Hungry(megabytes), network.forward
    network.forward = lambda images: whole(hungry(images))  # type: ignore[method-assign]
    plan = runtime.plan(candidate, 5, changes.pop("on_epoch", _on), lambda: False, None, network)
    return fit(network, replace(plan, **changes))


def _on(_: Any) -> Any:
    from search.records.study import Verdict

    return Verdict.CONTINUE


@pytest.mark.parametrize("fits", [4, 2, 1])
def test_a_batch_that_does_not_fit_is_accumulated_to_the_same_steps(fits: int, device: str, study_file: Path) -> None:
    runtime = opened(study_file, device)
    expected = losses(trained(runtime, candidate_of(runtime)))
    with room_for(fits, device) as megabytes:
        result = hungrily(runtime, megabytes)
    assert result.micro_batch is not None
    assert result.micro_batch <= fits
    assert losses(result) == pytest.approx(expected, rel=0.02)


def test_a_sample_that_does_not_fit_ends_the_trial(device: str, study_file: Path) -> None:
    runtime = opened(study_file, device)
    with room_for(0, device) as megabytes, pytest.raises(TrialError, match="single sample") as failed:
        hungrily(runtime, megabytes)
    assert failed.value.kind == "memory"


def test_after_a_failure_the_memory_is_there_again(device: str, only_cuda: None, study_file: Path) -> None:
    runtime = opened(study_file, device)
    out_of_memory.free()
    before = torch.cuda.memory_reserved()
    with room_for(0, device) as megabytes, pytest.raises(TrialError) as failed:
        hungrily(runtime, megabytes)
    failed.value.__traceback__ = failed.value.__cause__ = failed.value.__context__ = None
    del failed
    out_of_memory.free()
    assert torch.cuda.memory_reserved() <= before + (64 << 20)
    assert losses(trained(runtime, candidate_of(runtime)))


def test_a_real_error_is_recognised(device: str, only_cuda: None) -> None:
    with pytest.raises(torch.OutOfMemoryError) as failed:
        torch.empty(1 << 50, dtype=torch.uint8, device=device)
    assert out_of_memory.is_out_of_memory(failed.value)
    assert not out_of_memory.is_device_lost(failed.value)


def test_budgets_leave_most_of_the_device_free(device: str, tmp_path: Path) -> None:
    found = memory_budget.budgets(torch.device(device), tmp_path)
    if device == "cpu":
        assert found.device == 0
    else:
        assert 0 < found.device <= 0.31 * torch.cuda.mem_get_info()[0]
    assert out_of_memory.kind_of(torch.device(device))
