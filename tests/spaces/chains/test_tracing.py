from __future__ import annotations

import pytest
import torch
from torch import fx, nn
from torch.nn import functional as F
from torchvision import models

from spaces.chains import chain, tracing
from spaces.errors import ChainError


class Sometimes(nn.Module):
    """Drops by a function that takes the mode as an argument."""

    def __init__(self, *layers: nn.Module) -> None:
        super().__init__()
        self.layers = nn.ModuleList(layers)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        if self.training:
            x = x * (torch.rand(()) + 0.5)
        for layer in self.layers:
            x = layer(x)
        return x


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Linear(6, 6)
        self.blocks = nn.ModuleList([Sometimes(nn.Linear(6, 6)), Sometimes(nn.Linear(6, 6))])
        self.register_buffer("shift", torch.ones(6), persistent=False)
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch._assert(x.shape[1] == 6, "six wide")
        x = self.stem(x) + self.shift
        for block in self.blocks:
            x = block(x)
        x = F.dropout(x, 0.5, training=self.training)
        return self.head(x)


def test_what_depends_on_the_mode_still_follows_it() -> None:
    torch.manual_seed(0)
    network = Net().eval()
    found = chain.cut(network, (1, 1))
    x = torch.randn(4, 6)
    torch.testing.assert_close(found.logits(x), network(x))
    network.train()
    found.train()
    torch.manual_seed(1)
    expected = network(x)
    torch.manual_seed(1)
    torch.testing.assert_close(found.logits(x), expected)
    torch.manual_seed(2)
    assert not torch.equal(found.logits(x), expected)


def test_tracing_leaves_the_network_and_its_weights_names_alone() -> None:
    network = Net()
    names = set(network.state_dict())
    found = chain.cut(network, (1, 1))
    assert set(found.state_dict()) == names == set(network.state_dict())
    assert network.training
    assert all(isinstance(unit.module, fx.GraphModule) for unit in found)


def test_checks_of_a_shape_are_left_out() -> None:
    graph, _ = tracing.trace(Net())
    assert all(node.target is not torch._assert for node in graph.nodes)
    assert all(node.users for node in graph.nodes if node.op != "output")


class Choosing(nn.Module):
    """Looks at the numbers, which a graph has not."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(6, 6)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.one(x) if x.sum() > 0 else x


class Outer(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(6, 6)
        self.choosing = Choosing()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.choosing(self.first(x))


def test_a_module_that_cannot_be_looked_into_stays_whole() -> None:
    graph, _ = tracing.trace(Outer())
    assert [node.target for node in graph.nodes if node.op == "call_module"] == ["first", "choosing"]
    with pytest.raises(ChainError, match=r"Choosing cannot be traced by torch\.fx"):
        tracing.trace(Choosing())


def test_types_named_opaque_are_not_looked_into() -> None:
    graph, _ = tracing.trace(Net(), tracing.Opaque(modules=(Sometimes,)))
    assert [node.target for node in graph.nodes if node.op == "call_module"][1:3] == ["blocks.0", "blocks.1"]


def test_a_stage_is_looked_into_and_its_blocks_stay_whole() -> None:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(6, 6), nn.LayerNorm(6), nn.Linear(6, 6))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return x + self.layers(x)

    class Stage(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.blocks = nn.Sequential(Block(), Block())

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            return self.blocks(x)

    graph, _ = tracing.trace(nn.Sequential(Stage(), Stage()))
    paths = [f"{stage}.blocks.{block}" for stage in range(2) for block in range(2)]
    assert [node.target for node in graph.nodes if node.op == "call_module"] == paths


def test_residual_blocks_are_reported_from_others() -> None:
    block = models.resnet18().layer1[0]
    assert tracing.is_residual(block)
    assert not tracing.is_residual(nn.Sequential(nn.Conv2d(4, 4, 3, padding=1), nn.ReLU()))


def test_a_copy_computes_the_same_with_weights_of_its_own_and_no_further_class() -> None:
    unit = chain.cut(models.squeezenet1_1(weights=None).eval(), (64, 64)).units[3].module
    own = tracing.copied(unit, {})
    assert type(own) is type(unit)
    assert not {id(weight) for weight in own.parameters()} & {id(weight) for weight in unit.parameters()}
    images = torch.randn(1, 128, 15, 15)
    torch.testing.assert_close(own(images), unit(images), rtol=0, atol=0)
    with torch.no_grad():
        next(own.parameters()).zero_()
    assert not torch.equal(own(images), unit(images))


def test_a_copy_shares_what_the_memo_holds() -> None:
    unit = chain.cut(models.squeezenet1_1(weights=None).eval(), (64, 64)).units[3].module
    memo = {id(weight): weight for weight in unit.parameters()}
    own = tracing.copied(unit, memo)
    assert [id(weight) for weight in own.parameters()] == [id(weight) for weight in unit.parameters()]
    assert tracing.copied(unit, memo) is own
