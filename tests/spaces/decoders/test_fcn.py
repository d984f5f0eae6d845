from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.nn import functional as F

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.chains import probe
from spaces.decisions.head import attachment
from spaces.decoders import decoders
from spaces.decoders._base import UPSAMPLINGS, DecoderChoice, DenseHead, DenseScores, Enlarge, Plan
from spaces.errors import SurgeryError
from spaces.heads import Features, Tap
from spaces.networks import build
from spaces.networks.space import Space

KINDS = tuple(decoders())


def dense(pretrained: Pretrained, kind: str, *, upsampling: str = "bilinear", auxiliary: float = 0.0) -> DenseHead:
    features = attachment(pretrained.chain)
    torch.manual_seed(0)
    return DenseHead(
        features, 5, decoders()[kind], DecoderChoice(kind, 16, 2), upsampling=upsampling, auxiliary=auxiliary, loss="x"
    )


@pytest.fixture(params=["tiny", "mobilenet_v3_small", "convnext_tiny", "vit_b_16", "swin_t"])
def pretrained(request: pytest.FixtureRequest) -> Pretrained:
    if request.param == "tiny":
        found: Pretrained = request.getfixturevalue("tiny")
        return found
    with torch.device("meta"):
        return backbones.resolve(request.param).pretrained("none", (64, 96))


@pytest.mark.parametrize("kind", KINDS)
def test_every_decoder_gives_scores_as_large_as_the_input_on_every_kind_of_backbone(
    pretrained: Pretrained, kind: str
) -> None:
    check_scores(pretrained, kind, "bilinear")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("upsampling", [way for way in UPSAMPLINGS if way != "bilinear"])
def test_every_way_up_gives_scores_as_large_as_the_input(tiny: Pretrained, kind: str, upsampling: str) -> None:
    check_scores(tiny, kind, upsampling)


def check_scores(pretrained: Pretrained, kind: str, upsampling: str) -> None:
    head = dense(pretrained, kind, upsampling=upsampling, auxiliary=0.4)
    chain = pretrained.chain
    shapes = [facts.out_shape for facts in probe.describe(chain)]
    maps = tuple(torch.randn(2, *shapes[unit]) for unit in head.taps)
    found = head(maps)
    assert isinstance(found, DenseScores)
    assert found.logits.shape == (2, 5, *chain.input_size)
    assert found.auxiliary is not None
    assert found.auxiliary.shape == found.logits.shape
    assert (found.weight, found.loss) == (0.4, "x")
    assert head.eval()(maps).shape == (2, 5, *chain.input_size)
    assert build.head_macs(head, chain) > 0


@pytest.mark.parametrize("kind", KINDS)
def test_a_batch_of_one_can_be_trained_on(tiny: Pretrained, kind: str) -> None:
    head = dense(tiny, kind)
    shapes = [facts.out_shape for facts in probe.describe(tiny.chain)]
    head(tuple(torch.randn(1, *shapes[unit]) for unit in head.taps)).logits.sum().backward()


@pytest.mark.parametrize("kind", UPSAMPLINGS)
@pytest.mark.parametrize("steps", [1, 3])
def test_learnt_up_sampling_starts_as_bilinear(kind: str, steps: int) -> None:
    maps = torch.randn(2, 3, 5, 7, generator=torch.Generator().manual_seed(0))
    wanted = maps
    for _ in range(steps):
        wanted = F.interpolate(wanted, scale_factor=2, mode="bilinear", align_corners=False)
    size = (5 * 2**steps, 7 * 2**steps)
    enlarge = Enlarge(kind, 3, steps)
    if kind == "bilinear":
        wanted = F.interpolate(maps, size=size, mode="bilinear", align_corners=False)
    else:
        assert sum(parameter.numel() for parameter in enlarge.parameters()) > 0
    torch.testing.assert_close(enlarge(maps, size), wanted, rtol=1e-5, atol=1e-5)
    assert enlarge(maps, (39, 55)).shape == (2, 3, 39, 55)


def test_up_sampling_of_another_name_is_refused() -> None:
    with pytest.raises(SurgeryError, match="must be one of bilinear, transposed, pixel_shuffle, got 'nearest'"):
        Enlarge("nearest", 3, 1)


def test_features_without_places_are_refused() -> None:
    with pytest.raises(SurgeryError, match=r"needs feature maps or tokens of patches, got shape \(512,\)"):
        DenseHead(Features((512,)), 3, decoders()["fcn"], DecoderChoice())


def test_it_is_convolutions_on_the_last_maps_alone(tiny: Pretrained) -> None:
    head = dense(tiny, "fcn")
    assert head.taps == (3,)
    kernels = [module.kernel_size for module in head.decoder.modules() if isinstance(module, nn.Conv2d)]
    assert kernels == [(3, 3), (3, 3), (1, 1)]


def test_dropout_comes_before_the_last_layer() -> None:
    built = decoders()["fcn"].build(Plan((Tap(0, "x", 4, (8, 4, 4)),), 3, 16, 1, dropout=0.3))
    assert [module.p for module in built.modules() if isinstance(module, nn.Dropout2d)] == [0.3]


def test_units_after_the_maps_are_left_out_of_the_network() -> None:
    pretrained = backbones.resolve("mobilenet_v3_small").pretrained("none", (64, 64))
    space = Space(pretrained, {}, "segmentation")
    candidate = space.baseline()
    network = build.build(
        space.apply(candidate),
        space.values(candidate),
        lambda features, choice, _: DenseHead(features, 3, decoders()["fcn"], DecoderChoice()),
        0,
    )
    assert network.taps == (len(network.units) - 1,)
    assert build.size(network).unit_states[-1] == "dropped"
    assert network.eval()(torch.randn(1, 3, 64, 64)).shape == (1, 3, 64, 64)
    assert network.original_state().keys() - {f"head.{name}" for name in network.head.state_dict()} < set(
        pretrained.chain.state_dict()
    )
