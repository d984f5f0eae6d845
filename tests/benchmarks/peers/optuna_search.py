"""Optuna over learning rate, weight decay and freeze depth, with the tutorial's loop and the median pruner.

The first trial is the plain recipe. Trials learn from training images and are scored on validation images after every
epoch; together they take ``SEARCH_SHARE`` of what the budget leaves, each as many epochs as let about ``TRIALS`` of
them in. The rest trains the best trial's values on training and validation images: the model.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import optuna
import torch
from optuna.samplers import BaseSampler, GPSampler, TPESampler
from peers._budget import Steps, Stretch, spent
from peers._images import Images, light
from peers._networks import Design, blocks_of, freeze, outputs
from peers._task import Task
from peers._training import BATCH, Clock, cosine, scaled_by, train
from torch import nn

SEARCH_SHARE, TRIALS, MOST_EPOCHS = 0.55, 10, 10
FIRST = {"rate": 0.01, "decay": 1e-4, "frozen": 0}


class TimeUpError(Exception):
    """The trials' share of the budget is spent."""


def with_tpe(task: Task) -> tuple[nn.Module, Design]:
    return search(task, TPESampler(seed=task.seed))


def with_gp(task: Task) -> tuple[nn.Module, Design]:
    """Optuna's own Gaussian process: its authors' successor of the BoTorch sampler, and cheaper by trial."""
    return search(task, GPSampler(seed=task.seed, n_startup_trials=5))


def search(task: Task, sampler: BaseSampler) -> tuple[nn.Module, Design]:
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # trials that the clock ends are not failures
    study = optuna.create_study(direction="maximize", sampler=sampler, pruner=optuna.pruners.MedianPruner(5, 1))
    study.enqueue_trial(FIRST)
    objective = Objective(task, spent() + SEARCH_SHARE * task.left)
    while spent() < objective.end:
        study.optimize(objective, n_trials=1, catch=(TimeUpError,))
    finished = any(trial.state is optuna.trial.TrialState.COMPLETE for trial in study.trials)
    values = study.best_params if finished else FIRST
    network = fit(task, values, task.everything, Stretch(task.end))
    return network, task.design()


@dataclass
class Objective:
    """Best validation accuracy of a trial that ends by ``end`` (CPU seconds since the process began)."""

    task: Task
    end: float
    epochs: int = field(init=False)
    steps: int = field(init=False)
    depth: int = field(init=False)

    def __post_init__(self) -> None:
        self.depth = len(blocks_of(self.task.network(), self.task.design()))
        self.steps = max(1, len(self.task.train) // BATCH)
        begin = spent()
        fit(self.task, FIRST, self.task.train, Steps(1))
        epoch_s = self.steps * (spent() - begin)
        self.epochs = min(MOST_EPOCHS, max(1, round((self.end - begin) / TRIALS / epoch_s)))

    def __call__(self, trial: optuna.Trial) -> float:
        values = {
            "rate": trial.suggest_float("rate", 1e-3, 1e-1, log=True),
            "decay": trial.suggest_float("decay", 1e-6, 1e-2, log=True),
            "frozen": trial.suggest_int("frozen", 0, self.depth),
        }
        accuracies: list[float] = []

        def after_step(network: nn.Module, step: int) -> None:
            if spent() > self.end:
                raise TimeUpError
            if step % self.steps == 0:
                accuracies.append(self.accuracy(network))
                trial.report(accuracies[-1], step // self.steps)
                if trial.should_prune():
                    raise optuna.TrialPruned

        fit(self.task, values, self.task.train, Steps(self.epochs * self.steps), after_step)
        return max(accuracies)

    def accuracy(self, network: nn.Module) -> float:
        found = outputs(network, self.task.val.pixels, self.task.size).argmax(1)
        return float((found == self.task.val.labels).float().mean())


def fit(
    task: Task,
    values: dict[str, Any],
    images: Images,
    clock: Clock,
    after_step: Callable[[nn.Module, int], None] = lambda network, step: None,
) -> nn.Module:
    """Return the network trained with one trial's values."""
    network = task.network()
    blocks = blocks_of(network, task.design())
    freeze(blocks, values["frozen"])
    learns = [value for value in network.parameters() if value.requires_grad]
    optimizer = torch.optim.SGD(
        [{"params": learns, "peak": values["rate"]}],
        lr=values["rate"],
        momentum=0.9,
        nesterov=True,
        weight_decay=values["decay"],
    )
    frozen, schedule = blocks[: values["frozen"]], scaled_by(cosine)
    train(network, images, light(task.size), optimizer, clock, frozen=frozen, schedule=schedule, after_step=after_step)
    return network
