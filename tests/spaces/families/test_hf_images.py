"""Image networks of Hugging Face: the same outputs, gradients and names of weights, or a line that says why not."""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
from torch import nn

from spaces.chains import probe
from spaces.decisions.head import attachment
from spaces.errors import ChainError, ProbeError
from spaces.families import family_of
from spaces.families.hf_images import first_tensor

transformers = pytest.importorskip("transformers")

TOKENS: dict[str, Any] = {
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 2,
    "intermediate_size": 64,
    "image_size": 32,
    "patch_size": 8,
}
STAGES: dict[str, Any] = {"hidden_sizes": [8, 16, 24, 32], "depths": [1, 2, 1, 1], "image_size": 32}
WINDOWS: dict[str, Any] = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 16,
    "depths": [1, 2, 1],
    "num_heads": [2, 2, 2],
    "window_size": 2,
}
KINDS: dict[str, tuple[dict[str, Any], int]] = {
    "deit": (TOKENS, 2),
    "dinov2": (TOKENS, 1),
    "dinov2_with_registers": (TOKENS, 5),
    "dinov3_vit": ({**TOKENS, "num_register_tokens": 4}, 5),
    "siglip_vision_model": (TOKENS, 0),
    "clip_vision_model": (TOKENS, 1),
    "beit": (TOKENS, 1),
    "swin": (WINDOWS, 0),
    "swinv2": (WINDOWS, 0),
    "convnext": (STAGES, 0),
    "convnextv2": (STAGES, 0),
    "resnet": ({**STAGES, "embedding_size": 8, "layer_type": "basic"}, 0),
}
"""Options of a small network of each kind, and the tokens before its patches."""


def small(kind: str, **more: Any) -> nn.Module:
    torch.manual_seed(0)
    options = KINDS[kind][0] if kind in KINDS else {}
    network: nn.Module = transformers.AutoModel.from_config(
        transformers.AutoConfig.for_model(kind, **{**options, **more})
    )
    return network.eval()


def last(network: Any, images: torch.Tensor) -> torch.Tensor:
    output: torch.Tensor = network(images).last_hidden_state
    return output


@pytest.mark.parametrize("kind", KINDS)
def test_a_chain_computes_what_its_network_computes(kind: str) -> None:
    network, twin = small(kind), small(kind)
    family = family_of(twin)
    assert family is not None
    assert family.name == "hf_images"
    chain = family.chain(twin, (32, 32))
    assert len(chain) >= 4
    images = torch.randn(2, 3, 32, 32)
    expected = last(network, images)
    assert (chain.forward(images) - expected).abs().max() <= 1e-5 * expected.abs().max()
    assert set(chain.state_dict()) == set(network.state_dict())
    for run in (lambda: last(network, images), lambda: chain.forward(images)):
        run().square().mean().backward()
    for (path, own), (_, other) in zip(network.named_parameters(), twin.named_parameters(), strict=True):
        assert (own.grad is None) == (other.grad is None), path
        if own.grad is not None and other.grad is not None:
            torch.testing.assert_close(other.grad, own.grad, rtol=1e-3, atol=1e-6)


@pytest.mark.parametrize("kind", KINDS)
def test_tokens_are_laid_out_behind_those_before_the_patches(kind: str) -> None:
    options, prefix = KINDS[kind]
    network = small(kind)
    family = family_of(network)
    assert family is not None
    chain = family.chain(network, (32, 32))
    assert chain.facts.get("prefix_tokens", 0) == prefix
    assert ("class_token" in chain.facts) == (prefix > 0)
    first = next(facts for facts in probe.describe(chain))
    assert first.reduction == options.get("patch_size", 4)
    assert attachment(chain).taps[-1].grid[0] == 32 // probe.describe(chain)[-1].reduction


@pytest.mark.parametrize("kind", ["dinov2", "siglip_vision_model", "beit", "dinov3_vit", "convnext", "swinv2"])
def test_another_size_is_what_the_library_makes_of_it(kind: str) -> None:
    network: Any = small(kind)
    images = torch.randn(2, 3, 64, 48)
    named = {"interpolate_pos_encoding": True} if kind in ("siglip_vision_model", "beit") else {}
    expected = network(images, **named).last_hidden_state
    family = family_of(network)
    assert family is not None
    torch.testing.assert_close(family.chain(network, (64, 48)).forward(images), expected, rtol=1e-4, atol=1e-5)


def test_a_chain_has_no_more_weights_than_its_network_and_moves_with_its_constants() -> None:
    network = small("dinov3_vit")
    family = family_of(network)
    assert family is not None
    chain = copy.deepcopy(family.chain(network, (32, 32)))
    buffers = {name for unit in chain for name, _ in unit.module.named_buffers()}
    assert any("constants" in name for name in buffers)
    assert not any("constants" in name for unit in chain for name in unit.module.state_dict())
    assert chain.forward(torch.randn(1, 3, 32, 32)).shape == (1, 21, 32)


def test_only_residual_layers_may_be_left_out() -> None:
    network = small("dinov2")
    family = family_of(network)
    assert family is not None
    described = probe.describe(family.chain(network, (32, 32)))
    assert [facts.can_skip for facts in described] == [False, True, True, False]  # the last one is followed by a norm


@pytest.mark.parametrize(
    ("kind", "more", "reason"),
    [
        ("hiera", {"embed_dim": 16, "depths": [1, 1, 1, 1], "num_heads": [1, 2, 4, 8]}, "modules that hand one tensor"),
        ("vit_mae", {**TOKENS, "mask_ratio": 0.0}, "modules that compute the same one by one"),
        ("pvt_v2", {}, "modules that hand one tensor"),
    ],
)
def test_a_network_of_another_shape_says_what_was_looked_for(kind: str, more: dict[str, Any], reason: str) -> None:
    network: Any = small(kind, **more)
    family = family_of(network)
    assert family is not None
    side = network.config.image_size
    with pytest.raises(ChainError, match=f"cannot be cut into its layers: looked for {reason}"):
        family.chain(network, (side, side) if isinstance(side, int) else tuple(side))


def test_a_network_that_needs_more_than_images_is_refused() -> None:
    network = small("siglip2_vision_model", **{**TOKENS, "num_patches": 16})
    family = family_of(network)
    assert family is not None
    with pytest.raises(ProbeError, match=r"Siglip2VisionModel does not run on images of 32x32 pixels: .*missing"):
        family.chain(network, (32, 32))


def test_the_first_tensor_of_an_output_is_handed_on() -> None:
    tensor = torch.zeros(1)
    assert first_tensor((tensor, None)) is tensor
    assert first_tensor(transformers.modeling_outputs.BaseModelOutput(last_hidden_state=tensor)) is tensor
    assert first_tensor({"a": tensor}) is None
    assert first_tensor("text") is None
    assert first_tensor(()) is None
