from __future__ import annotations

import torch

from spaces.decoders._base import Plan
from spaces.decoders.lraspp import decoder
from spaces.heads import Tap


def taps(*reductions: int) -> tuple[Tap, ...]:
    return tuple(
        Tap(place, str(reduction), reduction, (4, 64 // reduction, 64 // reduction))
        for place, reduction in enumerate(reductions)
    )


def test_it_takes_the_last_maps_and_those_of_stride_eight() -> None:
    assert [tap.reduction for tap in decoder.taps(taps(2, 4, 8, 16, 32))] == [8, 32]
    assert [tap.reduction for tap in decoder.taps(taps(4, 8))] == [4, 8]
    assert [tap.reduction for tap in decoder.taps(taps(16, 32))] == [16, 32]
    assert [tap.reduction for tap in decoder.taps(taps(16))] == [16]


def test_scores_are_as_fine_as_the_finer_maps() -> None:
    built = decoder.build(Plan(taps(8, 32), 3, 16, 1)).eval()
    assert built((torch.randn(1, 4, 8, 8), torch.randn(1, 4, 2, 2))).shape == (1, 3, 8, 8)
    built = decoder.build(Plan(taps(16), 3, 16, 1)).eval()
    assert built((torch.randn(1, 4, 4, 4),)).shape == (1, 3, 4, 4)
