"""The stand-in refuses what CUDA refuses, and sees what makes the host wait: proofs that rest on it can fail."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from cuda_standin import stand_in
from torch import Tensor, nn

MIXED: dict[str, Callable[[Tensor, Tensor], object]] = {
    "a sum": lambda there, here: there + here,
    "a product": lambda there, here: there @ here,
    "indices": lambda there, here: there.index_select(0, torch.tensor([0])),
    "a concatenation": lambda there, here: torch.cat([there, here]),
    "a scalar where only tensors go": lambda there, here: torch.stack([there[0, 0], torch.tensor(1.0)]),
    "a layer": lambda there, here: nn.Linear(3, 2)(there),
    "a loss": lambda there, here: nn.functional.cross_entropy(there, torch.tensor([0, 1, 2])),
}


@pytest.mark.parametrize("mixed", MIXED.values(), ids=MIXED.keys())
def test_a_tensor_left_on_the_host_is_found(mixed: Callable[[Tensor, Tensor], object]) -> None:
    here = torch.randn(3, 3)
    with stand_in(), pytest.raises(RuntimeError, match="same device"):
        mixed(here.to("cuda"), here)


def test_a_number_of_the_host_may_meet_a_tensor_of_the_device() -> None:
    with stand_in() as device:
        there = torch.ones(3, device="cuda")
        assert (there * torch.tensor(2.0)).sum().cpu() == 6
        assert [why for why, _ in device.waits] == ["a copy to the host"]


WAITING: dict[str, Callable[[Tensor], object]] = {
    "item": lambda there: there.sum().item(),
    "a condition": lambda there: bool((there > 0).all()),
    "cpu": lambda there: there.cpu(),
    "to": lambda there: there.to("cpu", non_blocking=True),
    "tolist": lambda there: there.tolist(),
    "nonzero": lambda there: there.nonzero(),
    "a mask": lambda there: there[there > 0],
    "a mask that is assigned to": lambda there: there.index_put_((there > 0,), there[:1, 0]),
    "a copy from memory that is not pinned": lambda there: torch.ones(3).to("cuda", non_blocking=True),
    "a copy that blocks": lambda there: torch.ones(3).pin_memory().to("cuda"),
    "a new tensor": lambda there: torch.tensor([1, 2], device="cuda"),
    "an index of the host": lambda there: there[torch.tensor([1])],
    "bincount": lambda there: there.abs().long().flatten().bincount(),
    "synchronize": lambda there: torch.cuda.synchronize(),
}


@pytest.mark.parametrize("waiting", WAITING.values(), ids=WAITING.keys())
def test_what_the_host_waits_for_is_counted(waiting: Callable[[Tensor], object]) -> None:
    with stand_in() as device:
        there = torch.randn(3, 3, device="cuda")
        assert device.waits == []
        waiting(there)
        assert len(device.waits) == 1


def test_training_on_it_is_training_on_the_cpu() -> None:
    def trained(name: str) -> list[float]:
        torch.manual_seed(0)
        network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(144, 2))
        inputs, labels = torch.randn(4, 3, 8, 8), torch.tensor([0, 1, 1, 0])
        network.to(name, memory_format=torch.channels_last)
        optimizer = torch.optim.AdamW(network.parameters(), lr=0.01, fused=True)
        losses = []
        for _ in range(3):
            optimizer.zero_grad()
            loss = nn.functional.cross_entropy(network(inputs.to(name)), labels.to(name))
            loss.backward()
            optimizer.step()
            losses.append(loss.item())
        assert {one.device.type for one in network.parameters()} == {name}
        return losses

    expected = trained("cpu")
    with stand_in():
        assert trained("cuda") == pytest.approx(expected, rel=1e-5)


def test_half_precision_is_autocast_as_on_a_device() -> None:
    with stand_in():
        there = torch.ones(2, 2, device="cuda")
        with torch.autocast("cuda", dtype=torch.bfloat16):
            assert (there @ there).dtype is torch.bfloat16
