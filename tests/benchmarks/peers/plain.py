"""The plain recipe, as long as the budget allows: everything trained by SGD on training and validation images.

Momentum 0.9 with Nesterov's step, cosine schedule over the whole budget, crops and flips.
"""

from __future__ import annotations

import torch
from peers._budget import Stretch
from peers._images import light
from peers._networks import Design
from peers._task import Task
from peers._training import cosine, scaled_by, train

RATE, DECAY = 0.01, 1e-4


def run(task: Task) -> tuple[torch.nn.Module, Design]:
    images, network = task.everything, task.network()
    groups = [{"params": list(network.parameters()), "peak": RATE}]
    optimizer = torch.optim.SGD(groups, lr=RATE, momentum=0.9, nesterov=True, weight_decay=DECAY)
    train(network, images, light(task.size), optimizer, Stretch(task.end), schedule=scaled_by(cosine))
    return network, task.design()
