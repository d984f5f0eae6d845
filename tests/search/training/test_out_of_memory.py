from __future__ import annotations

from collections.abc import Iterator

import pytest
import torch

from search.errors import TrialError
from search.training.out_of_memory import MicroBatches


def step(most: int, seen: list[list[int]]) -> object:
    def run(slices: Iterator[slice]) -> None:
        sizes = []
        for piece in slices:
            if piece.stop - piece.start > most:
                raise torch.OutOfMemoryError("out of memory")
            sizes.append(piece.stop - piece.start)
        seen.append(sizes)

    return run


def test_batches_are_halved_until_they_fit_and_that_is_remembered() -> None:
    memory, seen = MicroBatches(), []
    memory.run(10, step(3, seen))  # type: ignore[arg-type]
    memory.run(5, step(3, seen))  # type: ignore[arg-type]
    assert seen == [[2] * 5, [2, 2, 1]]
    assert memory.limit == 2


def test_a_single_sample_that_does_not_fit_ends_the_trial() -> None:
    with pytest.raises(TrialError, match="single sample") as caught:
        MicroBatches().run(4, step(0, []))  # type: ignore[arg-type]
    assert caught.value.kind == "memory"
