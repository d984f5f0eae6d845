from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn

from search.training import averaging


def test_the_average_follows_the_weights_from_their_first_step_on() -> None:
    network = nn.Linear(2, 1)

    optimizer = torch.optim.SGD(network.parameters(), lr=1.0)
    average = averaging.moving_average(network, optimizer, steps=200)
    expected = None
    for _ in range(5):
        optimizer.zero_grad()
        network(torch.ones(3, 2)).mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        now = network.weight.detach().clone()
        expected = now if expected is None else 0.95 * expected + 0.05 * now
    torch.testing.assert_close(average.module.weight, expected)
    assert not torch.allclose(average.module.weight, network.weight)


def test_the_average_is_pytorchs_of_what_learns_and_of_statistics() -> None:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(2, 3), nn.BatchNorm1d(3), nn.Linear(3, 1)).train()
    network[0].requires_grad_(False)
    theirs = AveragedModel(network, multi_avg_fn=get_ema_multi_avg_fn(0.9), use_buffers=True)  # type: ignore[no-untyped-call]
    ours = averaging.MovingAverage(network, 0.1)
    optimizer = torch.optim.SGD(network[2].parameters(), lr=0.5)
    for _ in range(4):
        optimizer.zero_grad()
        network(torch.randn(8, 2)).square().mean().backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        theirs.update_parameters(network)
        ours.update_parameters(network)
    expected, found = theirs.state_dict(), ours.state_dict()
    assert list(found) == list(expected)
    for name in expected:
        if not name.endswith("num_batches_tracked"):  # PyTorch rounds the average of counts down
            torch.testing.assert_close(found[name], expected[name], msg=name)
    assert int(found["module.1.num_batches_tracked"]) == 4


def test_views_average_probabilities_and_give_them_as_logits() -> None:
    class Left(nn.Module):
        """Sees whether the left half is brighter than the right one."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            half = images.shape[-1] // 2
            lead = (images[..., :half].mean(dim=(1, 2, 3)) - images[..., half:].mean(dim=(1, 2, 3))) * 10
            return torch.stack([lead, -lead], dim=1)

    images = torch.zeros(4, 3, 16, 16)
    images[..., :8] = 1.0
    single = Left()(images).softmax(dim=1)
    assert single[0, 0] > 0.99
    mirrored = averaging.ViewsAveraged(Left(), flip=True)(images)
    torch.testing.assert_close(mirrored.exp(), torch.full((4, 2), 0.5))
    torch.testing.assert_close(mirrored.softmax(dim=1), mirrored.exp())
    plain = averaging.ViewsAveraged(Left(), flip=False)(images).exp()
    assert plain[0, 0] > 0.95


@pytest.mark.parametrize("size", [(16, 16), (17, 9)])
def test_views_have_the_size_of_the_image(size: tuple[int, int]) -> None:
    seen: list[torch.Size] = []

    class Seeing(nn.Module):
        def forward(self, images: torch.Tensor) -> torch.Tensor:
            seen.append(images.shape[-2:])
            return images.mean(dim=(2, 3))

    averaging.ViewsAveraged(Seeing(), flip=True)(torch.rand(2, 3, *size))
    assert seen == [torch.Size(size)] * 10
