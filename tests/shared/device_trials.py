"""Trials of a small study on a given device, for tests that compare one device or setting with another."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch

from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training.fit import TrainingPlan, TrainingResult, fit
from spaces.candidate import Candidate, Recipe

PLAIN = {"epochs": 3, "batch_size": 9, "augmentation": "none", "precision": "float32", "cache": "false"}


def opened(path: Path, device: str, **training: object) -> StudyRuntime:
    """Return the runtime of the study file at ``path`` on ``device``, with other training options."""
    lines = [line for line in path.read_text().splitlines() if not line.startswith("training:")]
    settings = ", ".join(f"{name}: {value}" for name, value in {**PLAIN, **training}.items())
    path.write_text("\n".join([*lines, f"training: {{{settings}}}\n"]))
    return open_runtime(load_spec(path), device)


def candidate_of(runtime: StudyRuntime, recipe: Mapping[str, Any] | None = None, **structure: object) -> Candidate:
    """Return the plain recipe with other choices; its head is not solved at the start."""
    plain = runtime.space.baseline()
    start = {"head_start": "random"} if "head_start" in plain.recipe.choices else {}
    choices = {**plain.recipe.choices, **start, **(recipe or {})}
    return Candidate(replace(plain.structure, choices={**plain.structure.choices, **structure}), Recipe(choices))


def trained(
    runtime: StudyRuntime,
    candidate: Candidate,
    change: Callable[[TrainingPlan], TrainingPlan] = lambda plan: plan,
) -> TrainingResult:
    """Return the result of training ``candidate``."""
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 5, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    return fit(network, change(plan))


def losses(result: TrainingResult) -> list[float]:
    return [record.train_loss for record in result.epochs]


def curve(result: TrainingResult) -> list[float]:
    """Return the losses and measures of every epoch."""
    return [number for record in result.epochs for number in (record.train_loss, *record.metrics.values())]


class Watched:
    """Batches of which none after the first epoch, nor the step on it, may make the host wait for a GPU."""

    def __init__(self, batches: Any) -> None:
        self._batches = batches

    def epoch(self, number: int) -> Iterator[Any]:
        is_watched = number > 1 and torch.cuda.is_available()
        if is_watched:
            torch.cuda.set_sync_debug_mode("error")
        try:
            yield from self._batches.epoch(number)
        finally:
            if is_watched:
                torch.cuda.set_sync_debug_mode("default")
