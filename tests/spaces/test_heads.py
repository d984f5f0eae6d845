from __future__ import annotations

import pytest
import torch
from torch import nn

from spaces import heads
from spaces.errors import SurgeryError
from spaces.heads import Features, HeadChoice, MapLayout, Tap


@pytest.mark.parametrize("kind", heads.MAP_POOLINGS)
@pytest.mark.parametrize("channels_last", [False, True])
def test_maps_of_both_layouts_are_pooled_alike(kind: str, channels_last: bool) -> None:
    maps = torch.rand(2, 6, 4, 3)
    first, width = heads.pool(Features((6, 4, 3)), kind)
    second, _ = heads.pool(Features((4, 3, 6), channels_last=True), kind)
    torch.testing.assert_close(first(maps), second(maps.permute(0, 2, 3, 1)))
    assert first(maps).shape == (2, width)


def test_tokens_are_pooled_by_class_token_mean_or_attention() -> None:
    tokens = torch.randn(2, 5, 8)
    features = Features((5, 8), class_token=0)
    for kind in heads.TOKEN_POOLINGS:
        pooling, width = heads.pool(features, kind)
        assert pooling(tokens).shape == (2, width)
    torch.testing.assert_close(heads.pool(features, "cls")[0](tokens), tokens[:, 0])
    torch.testing.assert_close(heads.pool(features, "mean")[0](tokens), tokens.mean(dim=1))


def test_flat_features_need_no_pooling() -> None:
    head = heads.vector_head(Features((7,)), 3, HeadChoice("max", (4,)))
    assert head(torch.randn(2, 7)).shape == (2, 3)


def test_a_generalised_mean_with_exponent_one_is_the_mean() -> None:
    pooling = heads.MapPool("gem", channels_last=False)
    with torch.no_grad():
        pooling.power.fill_(1.0)  # type: ignore[union-attr]
    maps = torch.rand(2, 3, 4, 4)
    torch.testing.assert_close(pooling(maps), maps.mean((2, 3)))


def test_hidden_layers_norm_and_dropout_are_built_as_chosen() -> None:
    layers = heads.mlp(10, 3, HeadChoice(widths=(8, 4), norm=True, activation="gelu", dropout=0.5))
    kinds = [type(layer) for layer in layers]
    assert kinds == [nn.LayerNorm, *[nn.Dropout, nn.Linear, nn.GELU] * 2, nn.Dropout, nn.Linear]


def test_features_of_a_strange_shape_are_refused() -> None:
    with pytest.raises(SurgeryError, match="needs features"):
        heads.pool(Features((1, 2, 3, 4)), "avg")


@pytest.mark.parametrize("kind", heads.TOKEN_POOLINGS)
def test_padding_counts_for_nothing_and_the_mask_is_not_a_feature(kind: str) -> None:
    torch.manual_seed(0)
    features = Features((6, 9), class_token=0, masked=True)
    assert features.channels == 8
    pooling, width = heads.pool(features, kind)
    tokens, mask = torch.randn(2, 6, 8), torch.ones(2, 6, 1)
    mask[:, 4:] = 0
    found = pooling(torch.cat([tokens, mask], dim=-1))
    assert found.shape == (2, width) == (2, 8)
    torch.testing.assert_close(found, pooling(torch.cat([tokens, mask], dim=-1)[:, :4]))
    other = torch.where(mask == 0, 100.0, tokens)
    torch.testing.assert_close(found, pooling(torch.cat([other, mask], dim=-1)))


@pytest.mark.parametrize("kind", ["mean", "attention"])
def test_a_text_without_a_single_token_gives_numbers(kind: str) -> None:
    pooling, _ = heads.pool(Features((6, 9), masked=True), kind)
    assert pooling(torch.cat([torch.randn(2, 6, 8), torch.zeros(2, 6, 1)], dim=-1)).isfinite().all()


def test_tokens_and_maps_of_both_layouts_become_maps() -> None:
    maps = torch.randn(2, 8, 4, 6)
    tokens = torch.cat([torch.randn(2, 5, 8), maps.flatten(2).transpose(1, 2)], dim=1)
    for tap, outputs in (
        (Tap(0, "map", 16, (8, 4, 6)), maps),
        (Tap(0, "map_last", 16, (4, 6, 8), channels_last=True), maps.permute(0, 2, 3, 1)),
        (Tap(0, "tokens", 16, (29, 8), patches=(4, 6)), tokens),
    ):
        assert tap.grid == (4, 6)
        torch.testing.assert_close(MapLayout(tap)(outputs), maps)


@pytest.mark.parametrize("kind", heads.TEXT_POOLINGS)
def test_a_graph_of_a_pooling_takes_other_batches_and_lengths(kind: str) -> None:
    pooling, _ = heads.pool(Features((16, 9), class_token=0, masked=True, causal=kind == "last"), kind)
    tokens = torch.cat([torch.randn(2, 7, 8), torch.ones(2, 7, 1)], dim=-1)
    several = ({0: torch.export.Dim("batch"), 1: torch.export.Dim("length")},)
    graph = torch.export.export(pooling, (tokens,), dynamic_shapes=several).module()
    other = torch.cat([torch.randn(3, 5, 8), torch.ones(3, 5, 1)], dim=-1)
    torch.testing.assert_close(graph(other), pooling(other))
