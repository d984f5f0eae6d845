"""Precisions on a GPU: half the bits, nearly the same course."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
import torch
from device_trials import candidate_of, losses, opened, trained

from search.training import precision
from search.training.latency import measure

pytestmark = pytest.mark.gpu


@pytest.mark.parametrize(("wanted", "apart"), [("float32", 0.01), ("bf16", 0.1), ("fp16", 0.1), ("auto", 0.1)])
def test_losses_are_those_of_float32_on_the_cpu(wanted: str, apart: float, device: str, study_file: Path) -> None:
    expected = opened(study_file, "cpu")
    course = losses(trained(expected, candidate_of(expected)))
    runtime = opened(study_file, device, precision=wanted)
    assert losses(trained(runtime, candidate_of(runtime))) == pytest.approx(course, rel=apart)


def test_fp16_scales_its_loss_and_nothing_is_lost(device: str, study_file: Path) -> None:
    runtime = opened(study_file, device, precision="fp16")
    assert runtime.precision.scaler.is_enabled()
    result = trained(runtime, candidate_of(runtime, {"optimizer": ADAMW}))
    assert all(map(math.isfinite, losses(result)))
    assert all(bool(value.isfinite().all()) for value in result.weights.values())


def test_auto_is_half_precision_and_convolutions_run_channels_last(
    device: str, only_cuda: None, study_file: Path
) -> None:
    runtime = opened(study_file, device, precision="auto")
    assert runtime.precision.dtype in (torch.bfloat16, torch.float16)
    network = runtime.build(candidate_of(runtime), 0)
    weights = [one for one in network.parameters() if one.ndim == 4]
    assert all(one.is_contiguous(memory_format=torch.channels_last) for one in weights)


def test_a_latency_is_measured_and_leaves_the_network_as_it_was(device: str, study_file: Path) -> None:
    runtime = opened(study_file, device)
    network = runtime.build(candidate_of(runtime), 0).train()
    found = measure(network, torch.randn(2, 3, 32, 32), precision.choose(torch.device(device)), warmup=2, runs=5)
    assert 0 < found.lower <= found.median <= found.upper
    assert network.training


ADAMW = {
    "name": "adamw", "lr_head": 0.003, "lr_backbone": 0.001, "momentum": 0.9, "layer_decay": 1.0,
    "schedule": "cosine", "warmup": 0.1,
}  # fmt: skip
