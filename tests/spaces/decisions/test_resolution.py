from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions._base import NotApplicable
from spaces.decisions.resolution import Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Random, Space


def test_sizes_are_scaled_and_rounded() -> None:
    chain = backbones.resolve("resnet18").describe((96, 160))
    found = decision.choices(chain, Range())
    assert found == {"48x80": (48, 80), "80x128": (80, 128), "96x160": (0, 0)}


def test_a_vision_transformer_takes_the_sizes_its_patches_fill() -> None:
    chain = backbones.resolve("vit_b_32").pretrained("none", (96, 96)).chain
    found = decision.choices(chain, Range(scales=(0.33, 0.66, 1.0), multiple=32))
    assert found == {"32x32": (32, 32), "64x64": (64, 64), "96x96": (0, 0)}
    changed = decision.apply(chain, (64, 64))
    assert changed.forward(torch.randn(1, 3, 64, 64)).shape == (1, 5, 768)


def test_the_candidate_carries_its_own_size(tiny: Pretrained) -> None:
    space = Space(tiny, {"resolution": Range(scales=(0.5, 1.0), multiple=8)})
    sizes = {space.sample(Random(seed)).structure.input_size for seed in range(12)}
    assert sizes == {(8, 8), (16, 16)}
    words = {space.words(space.sample(Random(seed))) for seed in range(12)}
    assert any("8x8 pixels" in text for text in words)


def test_where_no_other_size_runs_it_drops_out() -> None:
    chain = backbones.resolve("alexnet").describe((64, 64))
    found = decision.choices(chain, Range(scales=(0.25, 1.0)))
    assert isinstance(found, NotApplicable)
    assert "none of 16x16 pixels runs" in found.reason


@pytest.mark.parametrize("data", [[64], "64", [64, "64"], [0, 64]])
def test_sizes_that_are_none_are_refused(data: object) -> None:
    with pytest.raises(CandidateError, match="resolution"):
        decision.parse(data)
