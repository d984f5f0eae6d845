from __future__ import annotations

import torch
from torch import nn

from spaces.chains import chain, fixed_sizes, tracing


class Block(nn.Module):
    """Takes a size and a rotary-like embedding beside its tensor, as some transformers do."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(6, 6), nn.Linear(6, 6), nn.Linear(6, 6)])

    def forward(self, x: torch.Tensor, places: torch.Tensor, width: int) -> torch.Tensor:
        for layer in self.layers:
            x = x + layer(x * places) / width
        return x


class Carrying(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 6, 4, 4)
        self.table = nn.Parameter(torch.rand(64))
        self.blocks = nn.ModuleList([Block() for _ in range(6)])
        self.head = nn.Linear(6, 3)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.stem(x)
        width = x.shape[3]
        x = x.flatten(2).transpose(1, 2)
        places = self.table[: x.shape[1], None].cos()
        for block in self.blocks:
            x = block(x, places, width)
        return self.head(x.mean(dim=1))


def test_a_network_that_hands_sizes_from_block_to_block_is_cut_for_its_size() -> None:
    torch.manual_seed(0)
    network = Carrying().eval()
    found = chain.cut(network, (16, 24))
    assert len(found) >= 7
    assert set(found.state_dict()) == set(network.state_dict())
    for batch in (1, 5):
        images = torch.randn(batch, 3, 16, 24)
        torch.testing.assert_close(found.logits(images), network(images))
    network(images).square().mean().backward()
    expected = network.table.grad
    assert expected is not None
    network.table.grad = None
    found.logits(images).square().mean().backward()
    assert network.table.grad is not None
    torch.testing.assert_close(network.table.grad, expected)


def test_sizes_become_numbers_and_the_batch_does_not() -> None:
    class Reshaping(nn.Module):
        def forward(self, x: torch.Tensor) -> torch.Tensor:
            batch, channels, height, width = x.shape
            return x.reshape(batch, channels, height * width)

    network = Reshaping()
    graph, root = tracing.trace(network)
    fixed_sizes.fix_sizes(graph, root, (3, 4, 5))
    (node,) = [node for node in graph.nodes if node.target == "reshape"]
    assert node.args[2:] == (3, 20)
    assert isinstance(node.args[1], torch.fx.Node)
