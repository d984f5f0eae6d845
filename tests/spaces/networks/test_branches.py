"""Networks with several branches: the mean of what each training gives, whatever the candidate shares."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from torch import Tensor, nn

from spaces import backbones
from spaces.candidate import Candidate
from spaces.decisions import registry
from spaces.decisions.lora import Updates
from spaces.errors import WeightsError
from spaces.heads import Features, HeadChoice, vector_head
from spaces.networks import branches
from spaces.networks import build as building
from spaces.networks.inference import MIRRORED, InferenceNetwork, blank, mirror, rebuild
from spaces.networks.space import Space

SIZE = (64, 64)


def head(features: Features, choice: HeadChoice, decided: object = None) -> nn.Module:
    return vector_head(features, 3, choice)


def made(**choices: Any) -> tuple[Candidate, building.Network]:
    pretrained = backbones.resolve("mobilenet_v2").pretrained("none", SIZE, seed=4)
    space = Space(pretrained, {name: decision.options() for name, decision in registry().items()})
    values = {**space.values(space.baseline()), **choices}
    candidate = space.candidate(values)
    return candidate, building.build(space.apply(candidate), space.values(candidate), head, 5)


def moved(network: building.Network, seed: int) -> dict[str, Tensor]:
    """Return the weights of ``network`` after a training that moves all that may."""
    random, names = (
        torch.Generator().manual_seed(seed),
        {name for name, one in network.named_parameters() if one.requires_grad},
    )
    return {
        name: value + 0.05 * torch.randn(value.shape, generator=random) if name in names else value.clone()
        for name, value in network.state_dict().items()
    }


def rebuilt(candidate: Candidate, state: dict[str, Tensor], *, folded: bool = False) -> InferenceNetwork:
    plain = rebuild(candidate, blank(candidate, SIZE), head)
    if folded:
        plain.fold()
    return branches.around(plain, state).load_named(state)


@pytest.mark.parametrize("freeze", [0, 14, 19])
def test_the_outputs_of_all_trainings_are_averaged(freeze: int) -> None:
    candidate, network = made(freeze=freeze)
    trainings, images = [moved(network, seed) for seed in range(3)], torch.randn(2, 3, *SIZE)
    outputs = []
    for weights in trainings:
        network.load_state_dict(weights)
        outputs.append(network.eval()(images).detach())
    state = branches.merged(network, trainings)
    found = rebuilt(candidate, state)
    torch.testing.assert_close(found(images), torch.stack(outputs).mean(dim=0), rtol=1e-4, atol=1e-5)
    # Frozen units are there once.
    alone = sum(one.numel() for one in network.parameters())
    learnt = sum(one.numel() for one in network.parameters() if one.requires_grad)
    assert sum(one.numel() for one in found.parameters()) == alone + 2 * learnt
    # What is written is what was read, and the other names are those of the pretrained network.
    again = rebuilt(candidate, found.named_state())
    torch.testing.assert_close(again(images), found(images))
    assert {name for name in found.named_state() if not name.startswith("branches.")} <= set(network.original_state())


def test_folded_branches_compute_the_same() -> None:
    candidate, network = made(freeze=14)
    state, images = branches.merged(network, [moved(network, seed) for seed in range(2)]), torch.randn(2, 3, *SIZE)
    found = rebuilt(candidate, state)
    expected = found(images)
    assert found.fold() > 0
    torch.testing.assert_close(found(images), expected, rtol=1e-3, atol=1e-4)
    torch.testing.assert_close(rebuilt(candidate, found.named_state(), folded=True)(images), found(images))


@pytest.mark.parametrize("count", [1, 3])
def test_a_mirrored_network_averages_an_image_and_its_mirror_image(count: int) -> None:
    candidate, network = made(freeze=14)
    state, images = branches.merged(network, [moved(network, seed) for seed in range(count)]), torch.randn(2, 3, *SIZE)
    # In a network that has not learnt, features shrink from layer to layer: here they keep their size.
    state = {name: 0.02 * value if name.endswith("running_var") else value for name, value in state.items()}
    plain, found = rebuilt(candidate, state), rebuilt(candidate, state | mirror())
    assert (plain.is_mirrored, found.is_mirrored) == (False, True)
    both = (plain(images) + plain(torch.from_numpy(images.numpy()[..., ::-1].copy()))) / 2
    torch.testing.assert_close(found(images), both, rtol=1e-4, atol=1e-5)
    assert not torch.allclose(found(images), plain(images), rtol=1e-3)
    torch.testing.assert_close(found(images[1:]), both[1:], rtol=1e-4, atol=1e-5)
    again = rebuilt(candidate, found.named_state())
    torch.testing.assert_close(again(images), found(images))


@pytest.mark.parametrize("mark", [torch.ones(2, dtype=torch.uint8), torch.ones(())])
def test_a_mark_of_another_kind_is_refused(mark: Tensor) -> None:
    candidate, network = made(freeze=14)
    with pytest.raises(WeightsError, match=MIRRORED):
        rebuilt(candidate, network.original_state() | {MIRRORED: mark})


def test_low_rank_updates_of_each_training_are_merged_into_units_of_its_own() -> None:
    candidate, network = made(freeze=19, lora=Updates("all", 4, 1.0))
    assert network.prefix_units < 19
    trainings, images = [moved(network, seed) for seed in range(2)], torch.randn(2, 3, *SIZE)
    outputs = []
    for weights in trainings:
        network.load_state_dict(weights)
        outputs.append(network.eval()(images).detach())
    found = rebuilt(candidate, branches.merged(network, trainings))
    torch.testing.assert_close(found(images), torch.stack(outputs).mean(dim=0), rtol=1e-4, atol=1e-5)


def test_as_many_branches_as_double_the_operations() -> None:
    _, network = made(freeze=14)
    total, learnt = building.size(network).flops, building.learning_share(network.chain)
    assert branches.flops(network, 1) == total
    assert branches.flops(network, 3) == pytest.approx(total * (1 + 2 * learnt), rel=1e-3)
    assert branches.count_for(network, 8) == 4
    assert branches.flops(network, 4) < 2 * total < branches.flops(network, 5)
    assert branches.count_for(network, 2) == 2
    assert branches.count_for(made(freeze=10)[1], 8) == 2
    assert branches.count_for(made(freeze=0)[1], 8) == 1


def test_weights_without_branches_are_of_a_plain_network() -> None:
    candidate, network = made(freeze=14)
    plain = rebuild(candidate, blank(candidate, SIZE), head)
    assert branches.around(plain, network.original_state()) is plain


@pytest.mark.parametrize("number", ["16", "99", "123456789012345678901234567890"])
def test_a_strangers_file_makes_no_thousands_of_branches(number: str) -> None:
    candidate, network = made(freeze=14)
    state = network.original_state() | {f"branches.{number}.head.1.weight": torch.zeros(1)}
    with pytest.raises(WeightsError, match=f"branch {number[:20]}; a network has 16 at most"):
        branches.around(rebuild(candidate, blank(candidate, SIZE), head), state)


def test_a_branch_that_lacks_weights_is_refused() -> None:
    candidate, network = made(freeze=14)
    state = branches.merged(network, [moved(network, seed) for seed in range(3)])
    gone = next(name for name in state if name.startswith("branches.1."))
    with pytest.raises(WeightsError, match=gone.replace(".", r"\.")):
        rebuilt(candidate, {name: value for name, value in state.items() if name != gone})
