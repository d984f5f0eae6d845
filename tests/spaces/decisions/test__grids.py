from __future__ import annotations

import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions import _grids
from spaces.families._base import Positions


def test_position_embeddings_follow_the_grid() -> None:
    chain = backbones.resolve("vit_b_32").pretrained("none", (64, 96)).chain
    changed = _grids.rescale(chain, (2.0, 1.0))
    (positions,) = changed.facts["positions"]  # type: ignore[misc]  # a tuple here
    assert positions == Positions("encoder.pos_embedding", 1, "tokens", (4, 3))
    old, new = (each.units[0].module.get_parameter("encoder.pos_embedding") for each in (chain, changed))
    assert (old.shape[1], new.shape[1]) == (7, 13)
    assert torch.equal(old[:, :1], new[:, :1])


def test_a_chain_without_position_embeddings_stays(tiny: Pretrained) -> None:
    assert _grids.rescale(tiny.chain, (2.0, 2.0)) is tiny.chain
