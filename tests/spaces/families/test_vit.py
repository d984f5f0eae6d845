from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch.nn import functional as F
from torchvision.models import VisionTransformer

from spaces import backbones
from spaces.chains import probe
from spaces.errors import ProbeError
from spaces.families import family_of
from spaces.families._base import Positions, embedding_grid, resample_positions


def test_a_position_embedding_of_the_same_grid_stays() -> None:
    embedding = torch.randn(1, 1 + 49, 8)
    torch.testing.assert_close(resample_positions(embedding, 1, (7, 7), (7, 7)), embedding)


def test_a_resampled_embedding_keeps_the_class_token_and_fits_the_grid() -> None:
    embedding = torch.randn(1, 1 + 49, 8)
    found = resample_positions(embedding, 1, (7, 7), (9, 12))
    assert found.shape == (1, 1 + 9 * 12, 8)
    torch.testing.assert_close(found[:, 0], embedding[:, 0])
    image = embedding[:, 1:].reshape(1, 7, 7, 8).permute(0, 3, 1, 2)
    expected = F.interpolate(image, size=(9, 12), mode="bicubic")
    torch.testing.assert_close(found[:, 1:].reshape(1, 9, 12, 8).permute(0, 3, 1, 2), expected)


def test_all_layouts_are_resampled_alike() -> None:
    places = torch.randn(1, 8, 5, 4)
    expected = resample_positions(places, 0, (5, 4), (3, 6), "map")
    last = resample_positions(places.permute(0, 2, 3, 1), 0, (5, 4), (3, 6), "map_last")
    tokens = resample_positions(places.flatten(2).transpose(1, 2), 0, (5, 4), (3, 6), "tokens")
    torch.testing.assert_close(last.permute(0, 3, 1, 2), expected)
    torch.testing.assert_close(tokens.transpose(1, 2).reshape(1, 8, 3, 6), expected)
    bare = resample_positions(places[0], 0, (5, 4), (3, 6), "map")
    torch.testing.assert_close(bare, expected[0])


def test_an_embedding_of_another_grid_is_refused() -> None:
    with pytest.raises(ProbeError, match="not laid out for 4x4"):
        resample_positions(torch.randn(1, 50, 8), 1, (4, 4), (7, 7))
    with pytest.raises(ProbeError, match="expected a square number"):
        embedding_grid(torch.randn(1, 40, 8), Positions("pos", 1))


def test_a_size_that_patches_cannot_fill_is_refused() -> None:
    with pytest.raises(ProbeError, match="multiple of the patch, 32 pixels"):
        backbones.resolve("vit_b_32").describe((65, 64))


def test_a_chain_knows_its_position_embedding_at_any_size() -> None:
    chain = backbones.resolve("vit_b_32").describe((64, 96))
    assert chain.facts["positions"] == (Positions("encoder.pos_embedding", 1, "tokens", (2, 3)),)
    assert chain.units[0].module.get_parameter("encoder.pos_embedding").shape == (1, 7, 768)
    assert probe.output_shape(chain) == (7, 768)


def test_weights_of_another_image_size_load_with_their_positions_resampled(tmp_path: Path) -> None:
    big, small = (VisionTransformer(side, 8, 1, 2, 8, 16, num_classes=3) for side in (32, 64))
    family = family_of(big)
    assert family is not None
    family.resize(big, (32, 48))
    state = family.adapt(big, small.state_dict())
    big.load_state_dict(dict(state))
    expected = resample_positions(small.encoder.pos_embedding, 1, (8, 8), (4, 6))
    torch.testing.assert_close(big.encoder.pos_embedding, expected)
