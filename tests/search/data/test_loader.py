"""Inputs other than images are loaded in the same way."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor

from search.data.loader import Loader, Views


class Numbers(Loader):
    """Ten samples, each its own number; an epoch adds ten times its view."""

    def __init__(self, *, shuffle: bool = False, batch_size: int = 4) -> None:
        self.batch_size, self.device, self.seed = batch_size, torch.device("cpu"), 5
        self.views: Views | None = None
        self.shuffle = shuffle

    @property
    def count(self) -> int:
        return 10

    @property
    def facts(self) -> Sequence[object]:
        return ("numbers",)

    def inputs(self, chosen: Tensor, number: int) -> Tensor:
        return chosen + 10 * self.view(number)

    def targets(self, chosen: Tensor, number: int) -> Tensor:
        return chosen


def test_every_sample_comes_once_in_order_when_it_is_not_shuffled() -> None:
    inputs = torch.cat([found for found, _ in Numbers().epoch(1)])
    assert inputs.tolist() == list(range(10))


def test_the_order_belongs_to_seed_and_epoch() -> None:
    first, again, other = (
        torch.cat([targets for _, targets in Numbers(shuffle=True).epoch(n)])
        for n in (1, 1, 2)  # type: ignore[misc]
    )
    assert first.tolist() == again.tolist() != other.tolist()


def test_a_last_batch_of_one_is_left_out_in_training_alone() -> None:
    assert len(Numbers(shuffle=True, batch_size=3)) == 3
    assert len(Numbers(shuffle=False, batch_size=3)) == 4


def test_all_inputs_come_in_the_view_of_the_epoch() -> None:
    loader = Numbers()
    loader.views = Views(2, seed=1)
    parts = list(loader.every(4, 4))
    assert [part for part, _ in parts] == [slice(0, 4), slice(4, 8), slice(8, 10)]
    assert torch.cat([found for _, found in parts]).tolist() == list(range(10, 20))
