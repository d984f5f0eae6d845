from __future__ import annotations

import pytest
import torch
from torch import nn

from search.training.stacking import can_stack, is_frozen, layout_of
from spaces.backbones._base import Pretrained
from spaces.decisions.freeze import decision as freeze
from spaces.heads import Features, HeadChoice, vector_head
from spaces.networks.build import Network

MAPS = Features((16, 4, 4))


def test_heads_that_differ_in_dropout_only_are_one_model() -> None:
    keys = {layout_of(vector_head(MAPS, 3, HeadChoice("avg", (8,), dropout=share))).key for share in (0.0, 0.2, 0.5)}  # type: ignore[union-attr]
    assert len(keys) == 1


@pytest.mark.parametrize(
    "other",
    [
        HeadChoice("max", (8,)),
        HeadChoice("avg", (16,)),
        HeadChoice("avg", (8, 8)),
        HeadChoice("avg", (8,), norm=True),
        HeadChoice("avg", (8,), activation="gelu"),
        HeadChoice("gem", (8,)),
    ],
)
def test_heads_that_compute_something_else_are_not(other: HeadChoice) -> None:
    plain, found = (layout_of(vector_head(MAPS, 3, choice)) for choice in (HeadChoice("avg", (8,)), other))
    assert plain is not None
    assert found is not None
    assert plain.key != found.key


def test_dropout_is_found_in_front_of_its_layer() -> None:
    found = layout_of(vector_head(MAPS, 3, HeadChoice("avg", (8,), norm=True, dropout=0.25)))
    assert found is not None
    assert [type(layer) for layer in found.layers] == [nn.LayerNorm, nn.Linear, nn.ReLU, nn.Linear]
    assert dict(found.dropout) == {1: 0.25, 3: 0.25}
    assert found.names == ("1", "3", "4", "6")


@pytest.mark.parametrize(
    "head",
    [
        nn.Linear(3, 3),
        nn.Sequential(nn.Linear(3, 3), nn.BatchNorm1d(3)),
        nn.Sequential(nn.Linear(3, 3), nn.Dropout(0.5), nn.ReLU()),
        nn.Sequential(nn.Sequential(nn.Dropout(0.5), nn.Linear(3, 3))),
        nn.Sequential(nn.Linear(3, 3), nn.Dropout2d(0.5), nn.Linear(3, 3)),
        nn.Sequential(nn.ReLU()),
    ],
)
def test_heads_that_cannot_be_batched_are_reported(head: nn.Module) -> None:
    assert layout_of(head) is None


def test_only_networks_that_are_frozen_throughout_are_stacked(tiny: Pretrained) -> None:
    head = vector_head(MAPS, 3, HeadChoice())
    assert can_stack(Network(freeze.apply(tiny.chain, 4), head))
    assert not is_frozen(Network(freeze.apply(tiny.chain, 3), head))
    assert not can_stack(Network(freeze.apply(tiny.chain, 4), nn.Flatten()))
    assert torch.is_grad_enabled()
