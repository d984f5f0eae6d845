"""A pretrained network of torchvision with a new head, and how to keep it and get it back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import torch
from peers._images import centred
from torch import Tensor, nn
from torchvision import models


@dataclass(frozen=True)
class Design:
    """What must be known to build a network again: ``head`` is ``linear`` or ``fastai``."""

    backbone: str
    classes: int
    size: int
    head: str = "linear"


class Fastai(nn.Module):
    """The head that fastai puts after pooled features: norm, dropout and a hidden layer.

    fastai also pools by maximum; this one takes the average that the network itself takes.
    """

    def __init__(self, features: int, classes: int) -> None:
        super().__init__()
        hidden = nn.Linear(features, 512, bias=False)
        last = nn.Linear(512, classes, bias=False)
        for layer in (hidden, last):
            nn.init.kaiming_normal_(layer.weight)
        self.layers = nn.Sequential(
            *(nn.BatchNorm1d(features), nn.Dropout(0.25), hidden, nn.ReLU()),
            *(nn.BatchNorm1d(512), nn.Dropout(0.5), last),
        )

    def forward(self, features: Tensor) -> Tensor:
        found: Tensor = self.layers(features)
        return found


def build(design: Design, weights: Path | None = None) -> nn.Module:
    """Return the network, pretrained where ``weights`` is the file of its torchvision weights, with a fresh head."""
    network = models.get_model(design.backbone, weights=None)
    if weights is not None:
        network.load_state_dict(torch.load(weights, map_location="cpu", weights_only=True))
    name, last = last_linear(network)
    head: nn.Module = nn.Linear(last.in_features, design.classes)
    if design.head == "fastai":
        head = Fastai(last.in_features, design.classes)
    put(network, name, head)
    return network.to(memory_format=torch.channels_last)


def last_linear(network: nn.Module) -> tuple[str, nn.Linear]:
    """Return name and layer of the pretrained classifier's last linear layer."""
    return [(name, module) for name, module in network.named_modules() if isinstance(module, nn.Linear)][-1]


def put(network: nn.Module, name: str, module: nn.Module) -> None:
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, module)


def head_of(network: nn.Module, design: Design) -> nn.Module:
    """Return the head: what is new."""
    if design.head == "fastai":
        return next(module for module in network.modules() if isinstance(module, Fastai))
    return last_linear(network)[1]


def blocks_of(network: nn.Module, design: Design) -> list[nn.Module]:
    """Return the pretrained part's blocks with weights, from the input on: units that may be frozen one by one."""
    inner = getattr(network, "features", network)
    head = head_of(network, design)
    children = [
        part
        for child in inner.children()
        for part in (child.children() if isinstance(child, nn.Sequential) and inner is network else [child])
    ]
    return [part for part in children if any(True for _ in part.parameters()) and head not in part.modules()]


def freeze(blocks: Sequence[nn.Module], count: int) -> None:
    """Let the first ``count`` blocks keep their weights; the others learn."""
    for number, block in enumerate(blocks):
        block.requires_grad_(number >= count)


def train_mode(network: nn.Module, frozen: Sequence[nn.Module]) -> None:
    """Set training mode; ``frozen`` blocks keep the statistics of their norms."""
    network.train()
    for block in frozen:
        block.eval()


@torch.inference_mode()
def outputs(network: nn.Module, images: Sequence[Tensor], size: int, batch: int = 64) -> Tensor:
    """Return what the network says of the images' centres ``(N, classes)``."""
    network.eval()
    found = [network(centred(images[start : start + batch], size)) for start in range(0, len(images), batch)]
    return torch.cat(found)


def save(network: nn.Module, design: Design, path: Path) -> None:
    torch.save({"design": asdict(design), "state": network.state_dict()}, path)


def restore(path: Path) -> tuple[nn.Module, Design]:
    """Return the network that ``save`` wrote, without running code from the file."""
    kept: dict[str, Any] = torch.load(path, weights_only=True)
    design = Design(**kept["design"])
    network = build(design)
    network.load_state_dict(kept["state"])
    return network, design
