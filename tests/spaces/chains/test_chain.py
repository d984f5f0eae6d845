from __future__ import annotations

import copy
import pickle

import pytest
import torch
import torchvision
from torch import nn
from torchvision import models

from spaces import backbones
from spaces.backbones import _weights
from spaces.chains import chain, probe
from spaces.errors import ChainError

ONE_OF_EACH = (
    *(
        "mobilenet_v2",
        "resnet18",
        "alexnet",
        "densenet121",
        "squeezenet1_1",
        "shufflenet_v2_x0_5",
    ),
    *(
        "efficientnet_b0",
        "regnet_y_400mf",
        "convnext_tiny",
        "swin_t",
        "vit_b_32",
        "googlenet",
        "inception_v3",
        "mobilenet_v3_small",
    ),
)
AUXILIARY = ("googlenet", "inception_v3")
SIZES = {"inception_v3": 96, "maxvit_t": 224, "alexnet": 96, "vit_h_14": 56}


def built(name: str) -> tuple[nn.Module, tuple[int, int]]:
    side = SIZES.get(name, 64)
    backbone = backbones.resolve(name)
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = backbone._sized(backbone.build((side, side)), (side, side))
        for parameter in network.parameters():
            if not parameter.any():
                nn.init.normal_(parameter, std=0.02)  # zero classifiers would hide differences
    return network, (side, side)


def check_equality(name: str) -> None:
    network, size = built(name)
    network.eval()
    cut = chain.cut(network, size)
    torch.manual_seed(1)
    images = torch.randn(2, 3, *size)
    with torch.no_grad():
        expected, found = network(images), cut.logits(images)
    assert (expected - found).abs().max() <= 1e-5 * expected.abs().max()
    assert set(cut.state_dict()) == set(network.state_dict())


@pytest.mark.parametrize("name", ONE_OF_EACH)
def test_a_chain_computes_what_its_network_computes(name: str) -> None:
    check_equality(name)


def check_gradients(name: str) -> None:
    """In training mode and under the same seed, network and chain give every parameter the same gradient."""
    network, size = built(name)
    cut = chain.cut(network, size).train()
    network.train()
    torch.manual_seed(3)
    images = torch.randn(2, 3, *size)
    gradients: list[dict[str, torch.Tensor]] = []
    for run in (network, cut.logits):
        torch.manual_seed(5)
        run(images).square().mean().backward()
        parameters = list(network.named_parameters())
        gradients.append({path: parameter.grad for path, parameter in parameters if parameter.grad is not None})
        network.zero_grad(set_to_none=True)
    assert set(gradients[0]) == set(gradients[1]) == {path for path, _ in network.named_parameters()}
    for path, own in gradients[0].items():
        torch.testing.assert_close(gradients[1][path], own, rtol=1e-4, atol=1e-6, msg=path)


def check_weights(name: str) -> None:
    """A published state dict loads strictly into what the chain was cut from, and comes back under its own names."""
    network, size = built(name)
    published = models.get_model(name, weights=None, **({"init_weights": True} if name in AUXILIARY else {}))
    state = {
        key: torch.rand_like(value, dtype=torch.float32).to(value) for key, value in published.state_dict().items()
    }
    _weights.fit(network, state, name)
    found = chain.cut(network, size).state_dict()
    expected = {key: value for key, value in state.items() if not key.lower().startswith("aux")}
    assert set(found) == set(expected)
    assert all(torch.equal(found[key], value) for key, value in expected.items() if "pos_embedding" not in key)


@pytest.mark.slow
@pytest.mark.parametrize("name", models.list_models(module=torchvision.models))
def test_every_torchvision_classifier_is_cut_exactly(name: str) -> None:
    check_equality(name)
    check_gradients(name)


@pytest.mark.parametrize("name", ["mobilenet_v2", "swin_t", "squeezenet1_1", "googlenet", "vit_b_32"])
def test_training_gives_the_same_gradients_under_the_same_seed(name: str) -> None:
    check_gradients(name)


@pytest.mark.parametrize(
    "name", ["resnet18", "densenet121", "googlenet", "inception_v3", "swin_t", "mobilenet_v3_small"]
)
def test_published_weights_load_strictly_and_come_back_under_their_names(name: str) -> None:
    check_weights(name)


def test_units_carry_the_names_that_users_know() -> None:
    network, size = built("mobilenet_v2")
    assert [unit.name for unit in chain.cut(network, size)] == [f"features.{place}" for place in range(19)]
    network, size = built("resnet18")
    names = [unit.name for unit in chain.cut(network, size)]
    assert names == ["conv1", *(f"layer{stage}.{block}" for stage in range(1, 5) for block in range(2))]


def test_hidden_linear_layers_are_units_too() -> None:
    network, size = built("vgg11")
    assert [unit.name for unit in chain.cut(network, size)][-2:] == ["classifier.0", "classifier.3"]


def test_a_unit_survives_copying_and_pickling() -> None:
    network, size = built("mobilenet_v2")
    unit = chain.cut(network.eval(), size).units[3]
    images = torch.randn(1, *probe.describe(chain.cut(network, size))[3].in_shape)
    expected = unit.module(images)
    for twin in (copy.deepcopy(unit.module), pickle.loads(pickle.dumps(unit.module))):
        torch.testing.assert_close(twin(images), expected)


def test_a_network_that_cannot_be_traced_is_refused_in_one_line() -> None:
    class Branching(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x if x.sum() > 0 else -x

    with pytest.raises(ChainError, match=r"Branching cannot be traced by torch\.fx"):
        chain.cut(Branching(), (8, 8))


def test_a_network_of_one_piece_is_refused() -> None:
    with pytest.raises(ChainError, match="cannot be cut: at no place"):
        chain.cut(nn.Sequential(nn.Conv2d(3, 4, 1)), (8, 8))


def test_weights_with_two_names_and_unused_ones_go_back_out_too() -> None:
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.one = nn.Linear(4, 4)
            self.two = self.one
            self.idle = nn.Linear(4, 4)
            self.head = nn.Linear(4, 2)

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.head(self.two(torch.relu(self.one(x))))

    network = Net()
    found = chain.cut(network, (1, 1))
    state = found.state_dict()
    assert set(state) == set(network.state_dict())
    assert all(torch.equal(state[name], value) for name, value in network.state_dict().items())
    assert set(found.unused) == {"idle.weight", "idle.bias"}
