from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.backbones._base import weightless
from spaces.candidate import Candidate
from spaces.decisions import registry
from spaces.errors import WeightsError
from spaces.heads import Features, HeadChoice, vector_head
from spaces.networks import build as building
from spaces.networks.inference import blank, outline, rebuild
from spaces.networks.space import Random, Space

SIZE = (64, 64)


def head(features: Features, choice: HeadChoice, decided: object = None) -> nn.Module:
    return vector_head(features, 3, choice)


def trained(candidate: Candidate, space: Space) -> building.Network:
    """Return the candidate's network as training leaves it: every number of it has moved."""
    network = building.build(space.apply(candidate), space.values(candidate), head, 5)
    generator = torch.Generator().manual_seed(2)
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.requires_grad:
                parameter.add_(torch.randn(parameter.shape, generator=generator) * 0.02)
        for layer in network.modules():
            if isinstance(layer, nn.BatchNorm2d):
                layer.running_var.mul_(1.5)
    return network.eval()


@pytest.mark.parametrize(
    "backbone", ["squeezenet1_1", "mobilenet_v2", pytest.param("resnet18", marks=pytest.mark.slow)]
)
def test_any_candidate_is_rebuilt_from_its_checkpoint(backbone: str) -> None:
    pretrained = backbones.resolve(backbone).pretrained("none", SIZE, seed=4)
    space = Space(pretrained, {name: decision.options() for name, decision in registry().items()})
    images = torch.randn(2, 3, 96, 96)
    for seed in range(3):
        candidate = space.sample(Random(seed))
        network = trained(candidate, space)
        inputs = images[..., : candidate.structure.input_size[0], : candidate.structure.input_size[1]]
        with torch.inference_mode():
            expected = network(inputs)
            found = rebuild(candidate, blank(candidate, SIZE), head, network.original_state())
            assert torch.allclose(found(inputs), expected, atol=1e-4 * float(expected.abs().max())), candidate
            assert set(found.named_state()) <= set(network.original_state())
        with weightless():
            shapes = rebuild(candidate, outline(candidate, SIZE), head, network.original_state())
        assert {value.device.type for value in shapes.parameters()} == {"meta"}
        assert {name: value.shape for name, value in shapes.named_state().items()} == {
            name: value.shape for name, value in found.named_state().items()
        }


def test_folding_keeps_what_the_whole_network_computes() -> None:
    space = Space(backbones.resolve("resnet18").pretrained("none", SIZE), {})
    plain = rebuild(
        space.baseline(), blank(space.baseline(), SIZE), head, trained(space.baseline(), space).original_state()
    )
    images = torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        before = plain(images)
        assert plain.fold() == 20
        assert torch.allclose(plain(images), before, atol=1e-4)


def test_weights_of_another_candidate_are_refused() -> None:
    space = Space(backbones.resolve("squeezenet1_1").pretrained("none", SIZE), {})
    candidate = space.baseline()
    state = trained(candidate, space).original_state()
    with pytest.raises(WeightsError, match=r"head\.1\.weight has shape"):
        rebuild(candidate, blank(candidate, SIZE), lambda features, choice, _: vector_head(features, 4, choice), state)
    with pytest.raises(WeightsError, match="is missing"):
        rebuild(
            candidate,
            blank(candidate, SIZE),
            head,
            {name: value for name, value in state.items() if "squeeze" not in name},
        )


def test_low_rank_updates_are_in_the_weights() -> None:
    space = Space(backbones.resolve("mobilenet_v2").pretrained("none", SIZE), {"lora": registry()["lora"].options()})
    choices = dict(space.baseline().structure.choices) | {"lora": {"where": "all", "rank": 4, "scale": 1.0}}
    candidate = replace(space.baseline(), structure=replace(space.baseline().structure, choices=choices))
    network = trained(candidate, space)
    plain = rebuild(candidate, blank(candidate, SIZE), head, network.original_state())
    images = torch.randn(2, 3, *SIZE)
    with torch.inference_mode():
        assert torch.allclose(plain(images), network(images), atol=1e-5)
    assert not [name for name in plain.state_dict() if "parametrizations" in name]
