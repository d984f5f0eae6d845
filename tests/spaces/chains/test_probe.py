from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode
from torchvision import models

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.chains import probe
from spaces.chains.chain import Chain, Unit
from spaces.errors import ProbeError
from spaces.surgery import kernels


def test_shapes_and_reductions_are_those_of_a_real_run(tiny: Pretrained) -> None:
    facts = probe.describe(tiny.chain)
    images = torch.randn(1, 3, 16, 16)
    for unit, fact in zip(tiny.chain, facts, strict=True):
        assert tuple(images.shape[1:]) == fact.in_shape
        images = unit.module(images)
        assert tuple(images.shape[1:]) == fact.out_shape
    assert [fact.reduction for fact in facts] == [2, 2, 2, 4]


@pytest.mark.parametrize("name", ["resnet18", "vit_b_32"])
def test_multiply_adds_are_counted_like_the_published_ones(name: str) -> None:
    backbone = backbones.resolve(name)
    for chain in (backbone.describe((224, 224)), backbone.pretrained("none", (224, 224)).chain):
        assert sum(unit.macs for unit in probe.describe(chain)) / 1e9 == pytest.approx(backbone.gflops, rel=0.01)


@pytest.mark.parametrize("name", ["densenet121", "vit_b_32", "swin_v2_t", "convnext_tiny", "efficientnet_b0"])
def test_multiply_adds_are_those_of_torchs_own_counter(name: str) -> None:
    with torch.device("meta"):
        network = models.get_model(name, weights=None).eval()
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        network(torch.empty(1, 3, 224, 224, device="meta"))
    for module in (network, deepcopy(network).to_empty(device="cpu")):
        assert probe.run(module, (3, 224, 224)).macs == counter.get_total_flops() // 2


class Holding(nn.Module):
    """Adds a tensor that is neither a weight nor a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 4, 1)
        self.shifts = [torch.ones(4, 1, 1)]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.conv(x) + self.shifts[0]


def test_a_module_that_holds_tensors_of_its_own_is_probed_too() -> None:
    assert probe.run(Holding(), (3, 5, 5)) == probe.run(nn.Conv2d(3, 4, 1), (3, 5, 5))


def test_only_residual_units_that_keep_the_shape_may_be_skipped(tiny: Pretrained) -> None:
    assert [fact.can_skip for fact in probe.describe(tiny.chain)] == [False, True, True, False]


def test_a_copy_with_the_same_edit_is_not_traced_again(tiny: Pretrained, monkeypatch: pytest.MonkeyPatch) -> None:
    block = tiny.chain.units[1].module
    paths = tuple(convolution.path for convolution in probe.convolutions(block))
    assert probe.residual(kernels.with_kernels(block, paths, 7))
    monkeypatch.setattr(probe, "is_residual", lambda _: pytest.fail("traced again"))
    assert probe.residual(kernels.with_kernels(block, paths, 7))


def test_convolutions_are_listed_with_their_geometry(tiny: Pretrained) -> None:
    (conv,) = probe.describe(tiny.chain)[3].convolutions
    assert (conv.kernel, conv.stride, conv.groups, conv.channels) == ((3, 3), (2, 2), 4, (8, 16))


def test_an_input_that_is_too_small_is_refused_with_the_unit() -> None:
    chain = backbones.resolve("alexnet").describe((64, 64))
    with pytest.raises(ProbeError, match=r"input size 16x16 does not fit at features\.\d+: .*; choose a larger one"):
        probe.describe(replace(chain, input_size=(16, 16)))


def test_what_no_size_would_mend_is_refused_without_advice() -> None:
    unit = Unit("twice", nn.MaxPool2d(2, return_indices=True))
    with pytest.raises(ProbeError, match=r"does not fit at twice: expected one tensor out, got tuple$"):
        probe.describe(Chain((unit,), None, (64, 64)))


def test_the_smallest_input_is_found_by_trying() -> None:
    chain = backbones.resolve("alexnet").describe((224, 224))
    smallest = probe.smallest_input(chain)
    assert probe.accepts(chain, (smallest, smallest))
    assert not probe.accepts(chain, (smallest - 1, smallest - 1))


def test_a_module_that_gives_several_tensors_is_refused() -> None:
    class Pair(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x

    with pytest.raises(ProbeError, match="expected one tensor"):
        probe.run(Pair(), (3, 8, 8))


def test_describing_a_huge_network_allocates_little(tmp_path: Path, start_program: Callable[..., BaseProcess]) -> None:
    program = (
        "import resource; from spaces import backbones; from spaces.chains import probe\n"
        "probe.describe(backbones.resolve('resnet18').describe((64, 64)))\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for name in ('vit_h_14', 'regnet_y_128gf'):\n"
        "    probe.describe(backbones.resolve(name).describe((224, 224)))\n"
        "    print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) // 1024)"
    )
    start_program(program, output=tmp_path / "mebibytes.txt").join()
    grown = (tmp_path / "mebibytes.txt").read_text().split()
    assert len(grown) == 2
    assert max(map(int, grown)) < 200


def test_the_place_of_the_channels_is_reported_by_the_shape(tiny: Pretrained) -> None:
    chain = replace(tiny.chain, input_size=(64, 96))
    assert probe.is_channels_last(chain, (2, 3, 768))
    assert probe.is_channels_last(chain, (16, 24, 16))
    assert not probe.is_channels_last(chain, (512, 2, 3))
    assert not probe.is_channels_last(chain, (16, 16, 24))
    assert not probe.is_channels_last(chain, (25, 192))
    assert probe.is_channels_last(replace(chain, input_size=(32, 32), facts={"channels_last": True}), (8, 8, 8))


def test_the_reduction_of_tokens_is_the_distance_of_their_patches() -> None:
    facts = probe.describe(backbones.resolve("vit_b_16").describe((64, 96)))
    assert {unit.reduction for unit in facts} == {16}


def test_the_mask_of_tokens_is_not_a_feature(tiny: Pretrained) -> None:
    masked = replace(tiny.chain, facts={**tiny.chain.facts, "masked": True})
    assert probe.features_shape(masked, (16, 385)) == (16, 384)
    assert probe.features_shape(masked, (8, 4, 4)) == (8, 4, 4)
    assert probe.features_shape(tiny.chain, (16, 385)) == (16, 385)
