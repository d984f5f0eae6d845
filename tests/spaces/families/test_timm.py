from __future__ import annotations

import copy
import warnings
from dataclasses import replace
from typing import Any

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.chains import probe
from spaces.decisions import head
from spaces.errors import ChainError, ProbeError
from spaces.families import family_of
from spaces.families._base import Positions
from spaces.heads import MapLayout, pool

pytest.importorskip("timm")
import timm
import timm.models

# One small network of six rooms of timm, each with something that a plain trace gets wrong.
SIX = ("resnet10t", "test_vit", "convnext_atto", "swin_tiny_patch4_window7_224", "levit_128s", "mobilevit_xxs")
USUAL = 64


def built(name: str) -> tuple[nn.Module, tuple[int, int]]:
    """The network at 64 pixels, or at its usual size where it takes no other; nothing in it is zero."""
    backbone = backbones.resolve(f"timm:{name}")
    images = torch.randn(1, 3, USUAL, USUAL)
    try:
        network = backbone.build((USUAL, USUAL)).eval()
        with torch.no_grad():
            network(images)
    except Exception:  # noqa: BLE001  # networks refuse a size in many ways
        side = backbone.preprocessing.crop
    else:
        side = USUAL
    torch.manual_seed(0)
    network = backbone.build((side, side)).eval()
    for parameter in network.parameters():
        if not parameter.any():
            nn.init.normal_(parameter, std=0.02)  # zero layers would hide differences
    return network, (side, side)


def check_equality(name: str) -> None:
    """A chain of more than one unit: same output, same names of weights, same gradients under the same seed."""
    network, size = built(name)
    twin = copy.deepcopy(network)
    family = family_of(twin)
    assert family is not None
    chain = family.chain(twin, size)
    run = chain.logits if chain.classifier is not None else chain.forward
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected, found = network(images), run(images)
    assert (expected - found).abs().max() <= 1e-5 * expected.abs().max()
    assert set(chain.state_dict()) == set(network.state_dict())
    network.train()
    chain.train()
    for forward in (network, run):
        torch.manual_seed(5)
        forward(images).square().mean().backward()
    for (path, own), (_, other) in zip(network.named_parameters(), twin.named_parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None), path
        if own.grad is not None and other.grad is not None:
            assert (own.grad - other.grad).abs().max() <= 1e-3 * own.grad.abs().max() + 1e-6, path


@pytest.mark.parametrize("name", SIX)
def test_a_chain_computes_what_its_network_computes(name: str) -> None:
    check_equality(name)


@pytest.mark.parametrize(
    ("name", "last", "units"),
    [
        ("repvit_m0_9", "stages.3.blocks.1", 37),  # two classifiers, each behind a norm
        ("caformer_s18", "stages.3.blocks", 12),  # a perceptron
        ("iformer_s", "stages.3", 10),
        ("edgenext_xx_small", "stages.3.blocks.1", 16),  # blocks of two kinds in a stage
        ("swiftformer_xs", "stages.3.blocks.3", 21),
        ("xcit_nano_12_p16_224", "cls_attn_blocks.1.mlp.fc1", 43),  # sizes are handed from block to block
    ],
)
def test_networks_end_in_front_of_their_classifier_and_in_units_that_mean_something(
    name: str, last: str, units: int
) -> None:
    backbone = backbones.resolve(f"timm:{name}")
    chain = backbone.describe(backbone.usual_size)
    assert (chain.units[-1].name, len(chain)) == (last, units)
    assert chain.classifier is not None
    assert backbone.build(backbone.usual_size).num_classes not in probe.output_shape(chain)


@pytest.mark.parametrize("name", ["repvit_m0_9", "edgenext_xx_small", "xcit_nano_12_p16_224"])
def test_networks_with_unusual_ends_compute_the_same(name: str) -> None:
    check_equality(name)


POOLS = {"test_vit3": "attn_pool", "vit_pe_core_tiny_patch16_384": "attn_pool", "resnet50_clip": "head"}
"""Networks that end in a pool which attends: to all tokens, to patches behind a class token, to a map."""


@pytest.mark.parametrize("name", POOLS)
def test_a_pool_that_attends_is_a_unit_of_its_own_and_computes_the_same(name: str) -> None:
    check_equality(name)
    backbone = backbones.resolve(f"timm:{name}")
    chain = backbone.describe(backbone.usual_size)
    assert chain.units[-1].name == chain.facts["pool"] == POOLS[name]
    shapes = [facts.out_shape for facts in probe.describe(chain)]
    assert [len(shape) for shape in shapes[-2:]] == [3 if name == "resnet50_clip" else 2, 1]


def test_a_pool_with_a_norm_behind_it_leaves_the_last_map_to_boxes_and_masks() -> None:
    backbone = backbones.resolve("timm:convnext_tiny.dinov3_lvd1689m")
    chain = backbone.describe((64, 64))
    assert [facts.out_shape for facts in probe.describe(chain)][-2:] == [(768, 2, 2), (768,)]
    assert chain.units[-1].name == chain.facts["pool"] == "head.norm"
    choices = head.decision.choices(chain, head.Range())
    assert (choices.pooling, choices.parameter) == (("pretrained", "avg", "max", "avgmax"), "head.pool")
    assert head.attachment(chain).taps[-1].shape == (768, 2, 2)


def test_tokens_that_hiera_keeps_by_window_are_no_map() -> None:
    network: Any = backbones.resolve("timm:hiera_tiny_224").build((224, 224)).eval()
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (224, 224)).train(False)
    (tap,) = head.attachment(chain).taps
    assert tap.reduction == 32
    images = torch.randn(1, 3, 224, 224)
    with torch.no_grad():
        (expected,) = network.forward_intermediates(images, indices=1, intermediates_only=True)
        outputs = replace(chain, units=chain.units[: tap.unit + 1]).forward(images)
        torch.testing.assert_close(MapLayout(tap)(outputs), expected)


def test_clips_projection_is_its_classifier_and_no_part_of_the_features() -> None:
    chain = backbones.resolve("timm:resnet50_clip").describe((224, 224))
    assert chain.classifier is not None
    assert set(chain.classifier.state_dict()) == {"head.proj.weight", "head.proj.bias"}
    assert not any(name.startswith("head.proj") for name in chain.units[-1].module.state_dict())


def test_the_mean_of_tokens_is_the_networks_own_and_leaves_registers_out() -> None:
    network: Any = backbones.resolve("timm:test_vit2").build((64, 64)).eval()
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (64, 64))
    images = torch.randn(2, 3, 64, 64)
    features = head.features_of(chain)
    assert (features.registers, features.class_token) == (1, None)
    pooling, _ = pool(features, "mean")
    with torch.no_grad():
        expected = network.pool(network.forward_features(images))
        torch.testing.assert_close(pooling(chain.forward(images)), expected)


def test_a_classifier_that_cannot_be_left_out_is_refused() -> None:
    with pytest.raises(ChainError, match="EfficientViM cannot be cut in front of its classifier of 1000 classes"):
        backbones.resolve("timm:efficientvim_m1").describe((224, 224))


@pytest.mark.slow
@pytest.mark.families
@pytest.mark.timeout(3600)
def test_no_family_keeps_its_classifier_as_a_unit() -> None:
    """Whatever can be cut ends in features: no unit has an output a class of the weights."""
    kept = []
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in smallest_of_each_family().values():
            backbone = backbones.resolve(f"timm:{name}")
            try:
                chain = backbone.describe(backbone.usual_size)
                shapes = [unit.out_shape for unit in probe.describe(chain)]
            except (ChainError, ProbeError):
                continue
            kept += [name for shape in shapes if shape == (1000,)]
    assert kept == []


@pytest.mark.slow
@pytest.mark.families
@pytest.mark.timeout(3600)
def test_nine_of_ten_families_are_cut_exactly() -> None:
    failed: dict[str, str] = {}
    families = smallest_of_each_family()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # of timm's own code
        for family, name in families.items():
            try:
                check_equality(name)
            except Exception as error:  # noqa: BLE001  # every failure counts, whatever its kind
                failed[family] = (str(error).splitlines() or [type(error).__name__])[0]
    assert len(failed) <= 0.1 * len(families), failed


def smallest_of_each_family() -> dict[str, str]:
    """Return a small network of each of timm's families, told by the first word of their names."""
    found: dict[str, list[str]] = {}
    for name in timm.list_models():
        found.setdefault(name.split("_")[0], []).append(name)
    return {family: min(names, key=_guessed_size) for family, names in found.items()}


def _guessed_size(name: str) -> tuple[int, int, str]:
    sizes = (
        "test",
        "atto",
        "femto",
        "pico",
        "nano",
        "xxs",
        "xxsmall",
        "xx_small",
        "tiny",
        "xs",
        "xsmall",
        "mini",
        "small",
    )
    return next((place for place, size in enumerate(sizes) if size in name), len(sizes)), len(name), name


def test_stages_are_cut_into_blocks() -> None:
    chain = backbones.resolve("timm:convnext_atto").describe((64, 64))
    names = [unit.name for unit in chain]
    assert names[:4] == ["stem", "stages.0.blocks.0", "stages.0.blocks.1", "stages.1.downsample"]


def test_positions_are_found_with_their_class_token() -> None:
    chain = backbones.resolve("timm:vit_tiny_patch16_224").describe((64, 96))
    assert chain.facts["positions"] == (Positions("pos_embed", 1, "tokens", (4, 6)),)
    assert chain.units[0].module.get_parameter("pos_embed").shape[1] == 25


def test_a_network_that_resamples_its_positions_itself_is_left_to_do_so() -> None:
    chain = backbones.resolve("timm:test_vit").describe((160, 160))
    assert "positions" not in chain.facts
    assert probe.output_shape(replace(chain, input_size=(80, 96))) == (31, 64)
