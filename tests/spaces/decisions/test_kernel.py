from __future__ import annotations

import pytest
import torch

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions import freeze
from spaces.decisions._base import NotApplicable
from spaces.decisions.kernel import LARGEST, Range, decision
from spaces.errors import CandidateError
from spaces.networks.space import Space, StoredParameters


def test_a_larger_kernel_starts_as_the_same_function(tiny: Pretrained) -> None:
    images = torch.randn(2, 3, 16, 16)
    for stage in ("0", "3.0"):
        changed = decision.apply(tiny.chain, ((stage, 5),))
        torch.testing.assert_close(changed.forward(images), tiny.chain.forward(images), rtol=1e-5, atol=1e-5)
        assert any(unit.edits for unit in changed)


def test_a_stage_holds_the_units_of_one_resolution(tiny: Pretrained) -> None:
    changed = decision.apply(tiny.chain, (("0", 5),))
    assert [bool(unit.edits) for unit in changed] == [True, True, True, False]


def test_a_larger_kernel_begins_where_weights_learn(tiny: Pretrained) -> None:
    space = Space(tiny, {"kernel": Range(sizes=(3, 5)), "freeze": freeze.Range()})
    partly = space.sample(StoredParameters({"freeze": 2, "kernel.1": "5@0"}))
    assert partly.structure.choices["kernel"] == [["2", 5]]
    assert space.words(partly).count("5x5 in 2,") == 1
    assert space.params(partly) == {"freeze": 2, "kernel.1": "5@0"}
    assert [bool(unit.edits) for unit in space.apply(partly)] == [False, False, True, False]


def test_a_larger_kernel_that_could_not_learn_is_none_and_is_not_asked_for(tiny: Pretrained) -> None:
    space = Space(tiny, {"kernel": Range(sizes=(3, 5)), "freeze": freeze.Range()})
    frozen = space.sample(StoredParameters({"freeze": 4}))
    assert frozen.structure.choices["kernel"] == []
    assert space.params(frozen) == {"freeze": 4}
    lost = space.sample(StoredParameters({"freeze": 3, "kernel.1": "5@0"}))
    assert space.params(lost) == {"freeze": 3, "kernel.1": "keep"}


def test_a_smaller_kernel_changes_frozen_units_too(tiny: Pretrained) -> None:
    space = Space(tiny, {"kernel": Range(sizes=(1, 5)), "freeze": freeze.Range()})
    found = space.sample(StoredParameters({"freeze": 4, "kernel.1": "1@0"}))
    assert found.structure.choices["kernel"] == [["0", 1]]


def test_patch_embeddings_are_not_kernels_to_resize() -> None:
    chain = backbones.resolve("vit_b_32").describe((64, 64))
    assert isinstance(decision.choices(chain, Range()), NotApplicable)


def test_a_kernel_has_a_size_that_fits_into_a_memory() -> None:
    assert decision.parse([["features.0", LARGEST]]) == (("features.0", LARGEST),)
    with pytest.raises(CandidateError, match=r"odd size of up to 255 pixels\], got"):
        decision.parse([["features.0", LARGEST + 2]])
    with pytest.raises(ValueError, match="odd and from 1 to 255, got 9999"):
        Range(sizes=(3, 9999))
