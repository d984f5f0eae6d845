from __future__ import annotations

import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions._base import NotApplicable
from spaces.decisions.kernel import Range, decision


def test_a_larger_kernel_starts_as_the_same_function(tiny: Pretrained) -> None:
    images = torch.randn(2, 3, 16, 16)
    for stage in ("0", "3.0"):
        changed = decision.apply(tiny.chain, ((stage, 5),))
        torch.testing.assert_close(changed.forward(images), tiny.chain.forward(images), rtol=1e-5, atol=1e-5)
        assert any(unit.edits for unit in changed)


def test_a_stage_holds_the_units_of_one_resolution(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, (("0", 5),))
    assert [bool(unit.edits) for unit in changed] == [True, True, True, False]


def test_patch_embeddings_are_no_kernels_to_resize() -> None:
    chain = backbones.resolve("vit_b_32").describe((64, 64))
    assert isinstance(decision.choices(chain, Range()), NotApplicable)
