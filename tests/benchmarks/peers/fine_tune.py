"""fastai's ``fine_tune`` (https://docs.fast.ai/callback.schedule.html): the head, then everything, each in one cycle.

The head alone at ``base_lr``, then all at half of it, the body's first half a hundred times slower than the head and
its second half ten times; AdamW with fastai's decay, betas and momentum cycle, norms without decay and trained in the
frozen body too, fastai's head and augmentation. On training and validation images, as long as the budget allows.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

import torch
from peers._budget import Stretch, spent
from peers._images import fastai_like
from peers._networks import Design, blocks_of, freeze, head_of
from peers._task import Task
from peers._training import train
from torch import nn

BASE_LR, DECAY, MULT = 1e-2, 0.01, 100
HEAD_SHARE = 0.15
NORMS = (nn.BatchNorm1d, nn.BatchNorm2d, nn.LayerNorm, nn.GroupNorm)


def run(task: Task) -> tuple[nn.Module, Design]:
    images, design, network = task.everything, task.design("fastai"), task.network("fastai")
    blocks, augment = blocks_of(network, design), fastai_like(task.size)
    groups = list(parameter_groups(network, design, blocks))
    optimizer = torch.optim.AdamW(groups, lr=BASE_LR, betas=(0.95, 0.99), eps=1e-5)
    freeze(blocks, len(blocks))
    for block in blocks:  # fastai trains norms of frozen layers
        for module in block.modules():
            if isinstance(module, NORMS):
                module.requires_grad_(True)
    head_end = spent() + HEAD_SHARE * task.left
    flat = {"head": BASE_LR, "late": BASE_LR, "early": BASE_LR}
    train(network, images, augment, optimizer, Stretch(head_end), schedule=one_cycle(flat, pct_start=0.99, div=25))
    freeze(blocks, 0)
    rate = BASE_LR / 2
    graded = {"head": rate, "late": rate / math.sqrt(MULT), "early": rate / MULT}
    train(network, images, augment, optimizer, Stretch(task.end), schedule=one_cycle(graded, pct_start=0.3, div=5))
    return network, design


def parameter_groups(network: nn.Module, design: Design, blocks: list[nn.Module]) -> Iterator[dict[str, object]]:
    """Return the body's two halves and the head, each parted into norms and the rest."""
    half = len(blocks) // 2
    parts = {"early": blocks[:half], "late": blocks[half:], "head": [head_of(network, design)]}
    for part, modules in parts.items():
        inner = [module for top in modules for module in top.modules()]
        norms = [value for module in inner if isinstance(module, NORMS) for value in module.parameters(recurse=False)]
        others = [
            value for module in inner if not isinstance(module, NORMS) for value in module.parameters(recurse=False)
        ]
        for values, decay in ((norms, 0.0), (others, DECAY)):
            if values:
                yield {"params": values, "weight_decay": decay, "part": part}


def one_cycle(
    peaks: dict[str, float], *, pct_start: float, div: float, div_final: float = 1e5
) -> Callable[[torch.optim.Optimizer, float], None]:
    """Return fastai's cycle: rates up to their peaks and down again by cosines, momentum the other way."""

    def between(first: float, last: float, share: float) -> float:
        return first + (1 - math.cos(math.pi * share)) / 2 * (last - first)

    def schedule(optimizer: torch.optim.Optimizer, progress: float) -> None:
        rises = progress < pct_start
        share = progress / pct_start if rises else (progress - pct_start) / (1 - pct_start)
        momentum = between(0.95, 0.85, share) if rises else between(0.85, 0.95, share)
        for group in optimizer.param_groups:
            peak = peaks[group["part"]]
            group["lr"] = between(peak / div, peak, share) if rises else between(peak, peak / div_final, share)
            group["betas"] = (momentum, group["betas"][1])

    return schedule
