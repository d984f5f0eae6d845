from __future__ import annotations

import pytest
import torch

from search.detection.pyramid import Pyramid, chosen_taps
from spaces.errors import SurgeryError
from spaces.heads import Features, Tap

FINE, COARSE = Tap(2, "fine", 8, (24, 8, 12)), Tap(5, "coarse", 16, (4, 6, 48), channels_last=True)


def test_levels_have_one_width_and_halve_after_the_last() -> None:
    pyramid = Pyramid((FINE, COARSE), width=32, extra=2)
    found = pyramid((torch.randn(2, 24, 8, 12), torch.randn(2, 4, 6, 48)))
    assert [tuple(level.shape) for level in found.values()] == [
        (2, 32, 8, 12),
        (2, 32, 4, 6),
        (2, 32, 2, 3),
        (2, 32, 1, 2),
    ]
    assert pyramid.levels == 4


@pytest.mark.parametrize("prefix", [0, 1, 5])
def test_tokens_are_laid_out_row_by_row_without_class_and_register_tokens(prefix: int) -> None:
    pyramid = Pyramid((Tap(7, "tokens", 16, (prefix + 24, 48), patches=(4, 6)),), width=32, extra=0)
    tokens = torch.randn(2, prefix + 24, 48)
    laid = pyramid.layouts[0](tokens)
    torch.testing.assert_close(laid.flatten(2).transpose(1, 2), tokens[:, prefix:])
    assert [tuple(level.shape) for level in pyramid((tokens,)).values()] == [(2, 32, 4, 6)]


def test_taps_begin_at_the_asked_stride_or_are_the_coarsest() -> None:
    features = Features((4, 6, 48), True, taps=(FINE, COARSE))
    assert chosen_taps(features, 8) == (FINE, COARSE)
    assert chosen_taps(features, 9) == (COARSE,)
    assert chosen_taps(features, 64) == (COARSE,)
    with pytest.raises(SurgeryError, match="boxes need feature maps"):
        chosen_taps(Features((10,)), 8)
