"""How much faster a CPU trains and evaluates in bf16 than in float32, as ``training.precision: auto`` decides it.

    python tests/benchmarks/precision.py --networks mobilenet_v2 resnet50 vit_b_16

CPU seconds of the quickest of several passes, both formats in turns, networks with random weights.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable

import torch
from torch import Tensor, nn
from torchvision import models

from search.training import precision
from search.training.precision import Precision

FORMATS = ("float32", "bf16")
NETWORKS = ("mobilenet_v2", "resnet18", "resnet50", "efficientnet_b0", "convnext_tiny", "vit_b_16")


def trained(network: nn.Module, images: Tensor, own: Precision) -> None:
    network.train()
    with own.autocast():
        outputs = network(images)
    outputs.float().logsumexp(1).mean().backward()
    network.zero_grad()


@torch.inference_mode()
def evaluated(network: nn.Module, images: Tensor, own: Precision) -> None:
    network.eval()
    with own.autocast():
        network(images)


def seconds(
    run: Callable[[nn.Module, Tensor, Precision], None], network: nn.Module, images: Tensor, rounds: int
) -> list[float]:
    """Return the CPU seconds of the quickest of ``rounds`` passes in each of ``FORMATS``."""
    kinds = [precision.choose(torch.device("cpu"), wanted) for wanted in FORMATS]
    taken: list[list[float]] = [[] for _ in kinds]
    for _ in range(rounds + 1):  # the first one chooses kernels and allocates memory
        for kind, own in zip(kinds, taken, strict=True):
            begin = time.process_time()
            run(network, kind.place(images), kind)
            own.append(time.process_time() - begin)
    return [min(own[1:]) for own in taken]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--networks", nargs="+", default=NETWORKS, help="of torchvision's")
    parser.add_argument("--input-size", type=int, default=128, help="pixels")
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    torch.set_num_threads(1)
    images = torch.randn(given.batch_size, 3, given.input_size, given.input_size)
    auto = precision.choose(torch.device("cpu")).dtype
    print(f"auto is {'float32' if auto is None else 'bf16'} on this processor; times as fast in bf16:\n")
    print(f"{'network':20} {'training':>9} {'evaluation':>11}")
    for name in given.networks:
        sized = {"image_size": given.input_size} if name.startswith("vit") else {}
        network = precision.choose(torch.device("cpu")).place_network(getattr(models, name)(**sized))
        ratios = [
            one / two for one, two in (seconds(run, network, images, given.rounds) for run in (trained, evaluated))
        ]
        print(f"{name:20} {ratios[0]:9.2f} {ratios[1]:11.2f}", flush=True)


if __name__ == "__main__":
    main()
