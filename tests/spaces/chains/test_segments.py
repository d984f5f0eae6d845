from __future__ import annotations

import pytest
import torch
from torch import nn

from spaces.chains.segments import is_norm_layer, modules_of, segments
from spaces.chains.tracing import trace
from spaces.errors import ChainError


class Residual(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem, self.norm, self.pool = nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.AdaptiveAvgPool2d(1)
        self.first, self.second = nn.Conv2d(4, 4, 1), nn.Conv2d(4, 4, 1)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = torch.relu(self.norm(self.stem(x)))
        return self.pool(x + self.second(self.first(x)))


def test_a_segment_ends_wherever_one_value_alone_is_needed() -> None:
    network = Residual()
    graph, root = trace(network)
    found = segments(graph, root, set())
    assert [part.kind for part in found] == ["state", "norm", "act", "state", "gather"]
    assert modules_of(found[3].nodes, root) == [network.first, network.second]


def test_a_network_of_two_inputs_or_outputs_has_none() -> None:
    class TwoIn(nn.Module):
        def forward(self, x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
            return x + y

    class TwoOut(nn.Module):
        def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
            return x, x + 1

    for network, message in ((TwoIn(), "takes 2 inputs"), (TwoOut(), "a chain returns one tensor")):
        graph, root = trace(network)
        with pytest.raises(ChainError, match=message):
            segments(graph, root, set())


def test_norms_of_any_library_are_norms() -> None:
    class LayerNorm2d(nn.Module):
        pass

    assert all(map(is_norm_layer, (nn.BatchNorm2d(2), nn.RMSNorm(2), LayerNorm2d())))
    assert not is_norm_layer(nn.Conv2d(1, 1, 1))
