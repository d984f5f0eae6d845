"""One contender in a process of its own: ``python -m peers.train NAME --set FOLDER --budget SECONDS ... --model FILE``.

The process ends as soon as the model is written; test images are looked at by ``peers.score``, in another one.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from pathlib import Path

import torch
from peers._networks import Design, save
from peers._task import Task
from torch import nn


def plain(task: Task) -> tuple[nn.Module, Design]:
    from peers import plain

    return plain.run(task)


def linear_probe(task: Task) -> tuple[nn.Module, Design]:
    from peers import linear_probe

    return linear_probe.run(task)


def fine_tune(task: Task) -> tuple[nn.Module, Design]:
    from peers import fine_tune

    return fine_tune.run(task)


def optuna_tpe(task: Task) -> tuple[nn.Module, Design]:
    from peers import optuna_search

    return optuna_search.with_tpe(task)


def optuna_gp(task: Task) -> tuple[nn.Module, Design]:
    from peers import optuna_search

    return optuna_search.with_gp(task)


PEERS: dict[str, Callable[[Task], tuple[nn.Module, Design]]] = {
    "plain": plain,
    "linear": linear_probe,
    "fastai": fine_tune,
    "optuna-tpe": optuna_tpe,
    "optuna-gp": optuna_gp,
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("name", choices=list(PEERS))
    parser.add_argument("--set", type=Path, required=True)
    parser.add_argument("--backbone", required=True)
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--input-size", type=int, required=True)
    parser.add_argument("--budget", type=float, required=True)
    parser.add_argument("--seed", type=int, required=True)
    parser.add_argument("--model", type=Path, required=True)
    given = parser.parse_args()
    torch.manual_seed(given.seed)
    task = Task(given.set, given.backbone, given.weights, given.input_size, given.budget, given.seed)
    network, design = PEERS[given.name](task)
    save(network, design, given.model)


if __name__ == "__main__":
    main()
