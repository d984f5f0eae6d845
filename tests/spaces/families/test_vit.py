from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.errors import ProbeError
from spaces.families.vit import resample


def test_a_position_embedding_of_the_same_grid_stays() -> None:
    embedding = torch.randn(1, 1 + 49, 8)
    torch.testing.assert_close(resample(embedding, (7, 7)), embedding)


def test_a_resampled_embedding_keeps_the_class_token_and_fits_the_grid() -> None:
    embedding = torch.randn(1, 1 + 49, 8)
    found = resample(embedding, (4, 6))
    assert found.shape == (1, 1 + 24, 8)
    torch.testing.assert_close(found[:, 0], embedding[:, 0])


def test_a_size_that_patches_cannot_fill_is_refused() -> None:
    with pytest.raises(ProbeError, match="multiple of the patch, 32 pixels"):
        backbones.resolve("vit_b_32").describe((65, 64))
