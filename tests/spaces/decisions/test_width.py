from __future__ import annotations

import pytest
import torch
from torch import nn

from spaces import backbones
from spaces.chains import probe
from spaces.decisions._base import NotApplicable
from spaces.decisions.width import Range, decision
from spaces.errors import CandidateError


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("vgg11", {"classifier.0": 4096, "classifier.3": 4096}),
        ("alexnet", {"classifier.1": 4096, "classifier.4": 4096}),
        ("mobilenet_v3_small", {"classifier.0": 1024}),
    ],
)
def test_hidden_layers_of_the_classifier_are_offered(name: str, layers: dict[str, int]) -> None:
    chain = backbones.resolve(name).describe((96, 96))
    choices = decision.choices(chain, Range())
    assert dict(choices.layers) == layers
    narrow, full = decision.extremes(choices, chain)
    assert full == ()
    changed = decision.apply(chain, narrow)
    assert probe.output_shape(changed) == (layers[max(layers)] // 4,)


def test_networks_without_hidden_layers_say_so() -> None:
    found = decision.choices(backbones.resolve("resnet18").describe((64, 64)), Range())
    assert isinstance(found, NotApplicable)
    assert "no hidden linear layer" in found.reason


def test_the_strongest_neurons_are_kept_and_compute_what_they_did() -> None:
    chain = backbones.resolve("mobilenet_v3_small").pretrained("none", (64, 64)).chain
    linear = next(layer for layer in chain.units[-1].module.modules() if isinstance(layer, nn.Linear))
    with torch.no_grad():
        linear.weight[:3] *= 100
    images = torch.randn(2, 3, 64, 64)
    changed = decision.apply(chain, (("classifier.0", 3),))
    torch.testing.assert_close(changed.forward(images), chain.forward(images)[:, :3], rtol=1e-4, atol=1e-5)


def test_the_next_layer_reads_what_is_left() -> None:
    chain = backbones.resolve("alexnet").pretrained("none", (96, 96)).chain
    second = next(layer for layer in chain.units[-1].module.modules() if isinstance(layer, nn.Linear))
    changed = decision.apply(chain, (("classifier.1", 16), ("classifier.4", 8)))
    assert changed.forward(torch.randn(1, 3, 96, 96)).shape == (1, 8)
    assert second.in_features == 4096


@pytest.mark.parametrize(
    ("value", "reason"),
    [((("features.0", 4),), "not a hidden linear layer"), ((("classifier.0", 9999),), "has 1024 neurons")],
)
def test_what_cannot_be_narrowed_is_refused(value: tuple[tuple[str, int], ...], reason: str) -> None:
    chain = backbones.resolve("mobilenet_v3_small").describe((64, 64))
    with pytest.raises(CandidateError, match=reason):
        decision.apply(chain, value)


def test_shares_are_checked() -> None:
    with pytest.raises(ValueError, match=r"width\.shares"):
        Range(shares=(0.0,))
