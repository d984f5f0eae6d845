from __future__ import annotations

import pytest
import torch

from search.detection.pyramid import Pyramid, chosen_taps, grid_of
from spaces.errors import SurgeryError
from spaces.heads import Features, Tap

FINE, COARSE = Tap(2, "fine", 8, (24, 8, 12)), Tap(5, "coarse", 16, (4, 6, 48), channels_last=True)
TOKENS = Tap(7, "tokens", 16, (25, 48))


def test_levels_have_one_width_and_halve_behind_the_last() -> None:
    pyramid = Pyramid((FINE, COARSE), ((8, 12), (4, 6)), width=32, extra=2, first=0)
    found = pyramid((torch.randn(2, 24, 8, 12), torch.randn(2, 4, 6, 48)))
    assert [tuple(level.shape) for level in found.values()] == [
        (2, 32, 8, 12),
        (2, 32, 4, 6),
        (2, 32, 2, 3),
        (2, 32, 1, 2),
    ]
    assert pyramid.levels == 4


def test_tokens_are_laid_out_row_by_row_without_the_class_token() -> None:
    pyramid = Pyramid((TOKENS,), ((4, 6),), width=32, extra=0, first=1)
    tokens = torch.zeros(1, 25, 48)
    tokens[0, 1 + 2 * 6 + 3] = 1  # third row, fourth column
    laid = pyramid._laid(tokens, 0)
    assert laid[0, 0].nonzero().tolist() == [[2, 3]]


def test_taps_begin_at_the_asked_stride_or_are_the_coarsest() -> None:
    features = Features((4, 6, 48), True, taps=(FINE, COARSE))
    assert chosen_taps(features, 8) == (FINE, COARSE)
    assert chosen_taps(features, 9) == (COARSE,)
    assert chosen_taps(features, 64) == (COARSE,)
    with pytest.raises(SurgeryError, match="boxes need feature maps"):
        chosen_taps(Features((10,)), 8)


def test_tokens_fill_the_grid_of_the_inputs_proportions() -> None:
    assert grid_of(TOKENS, (64, 96), 1) == (4, 6)
    assert grid_of(TOKENS, (96, 64), 1) == (6, 4)
    assert grid_of(FINE, (64, 96), 0) == (8, 12)
    with pytest.raises(SurgeryError, match="fill no grid"):
        grid_of(TOKENS, (64, 96), 0)
