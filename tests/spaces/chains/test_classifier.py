from __future__ import annotations

import pytest
import torch
from torch import nn

from spaces.chains import chain, probe
from spaces.errors import ChainError


class Headed(nn.Module):
    """Two blocks of convolutions, pooling, and a head of its own."""

    def __init__(self, head: nn.Module, num_classes: int | None = None) -> None:
        super().__init__()
        self.blocks = nn.Sequential(
            nn.Sequential(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
            nn.Sequential(nn.Conv2d(8, 8, 3), nn.BatchNorm2d(8), nn.ReLU()),
        )
        self.pool = nn.AdaptiveAvgPool2d(1)
        self.head = head
        if num_classes is not None:
            self.num_classes = num_classes

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.pool(self.blocks(x)).flatten(1))


class Averaged(nn.Module):
    """Two classifiers, each behind a norm, whose outputs are averaged; a leaf to the tracer."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 10))
        self.second = nn.Sequential(nn.BatchNorm1d(8), nn.Linear(8, 10))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        first, second = self.first(x), self.second(x)
        return first if self.training else (first + second) / 2


class Perceptron(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.fc1, self.norm, self.fc2 = nn.Linear(8, 32), nn.LayerNorm(32), nn.Linear(32, 10)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = self.norm(torch.relu(self.fc1(x)))
        return self.fc2(x + 0 if self.training else x)


@pytest.mark.parametrize(
    ("head", "classes"),
    [(nn.Linear(8, 10), None), (nn.Sequential(nn.Linear(8, 10)), None), (Averaged(), None), (Perceptron(), 10)],
)
def test_units_end_in_front_of_the_classifier(head: nn.Module, classes: int | None) -> None:
    network = Headed(head, classes).eval()
    found = chain.cut(network, (16, 16))
    assert found.classifier is not None
    assert probe.output_shape(found) == (8, 12, 12)
    images = torch.randn(2, 3, 16, 16)
    torch.testing.assert_close(found.logits(images), network(images))


def test_a_perceptron_is_a_unit_where_nothing_says_that_it_classifies() -> None:
    found = chain.cut(Headed(Perceptron()).eval(), (16, 16))
    assert (found.classifier, probe.output_shape(found)) == (None, (10,))


def test_a_classifier_that_reads_several_places_is_refused() -> None:
    class Weighted(Headed):
        """The logits of two depths, added up."""

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            first = self.blocks[0](x)
            return self.head(self.pool(first).flatten(1)) + self.head(self.pool(self.blocks[1](first)).flatten(1))

    with pytest.raises(ChainError, match="cannot be cut in front of its classifier of 10 classes, which takes"):
        chain.cut(Weighted(nn.Linear(8, 10), 10).eval(), (16, 16))
