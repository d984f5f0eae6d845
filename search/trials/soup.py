"""A model soup: one candidate trained several times from the same start, and the mean of weights, or of outputs.

Trainings that begin with the same pretrained weights and the same solved head end in one basin, where the mean of their
weights does about as well as all of them together and costs no more than one (https://arxiv.org/abs/2203.05482).
MobileNetV2 at 128 px, last two stages trained on seven sets of 200 to 420 images: mean test accuracy 80.1 of one
training, 81.3 of two averaged, 81.9 of three, 82.1 of four.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from functools import partial

import torch
from torch import Tensor, nn

from search.data.transfer import fetched
from search.records.study import Verdict
from search.runtime.study_runtime import SOME, StudyRuntime
from search.training.batch_norm_statistics import recalibrate
from search.training.epoch import Batch, Forward, outputs_for, validate, whole
from search.training.features import FrozenLoader
from search.training.fit import TrainingPlan, TrainingResult
from search.training.out_of_memory import MicroBatches
from search.trials.attempt import Attempt, AttemptSettings
from spaces.candidate import Candidate

_TOLERANCE = 0.02
"""How much worse, as a share of the objective, the mean may do on training samples than a single training: with a
barrier between the members, it does far worse."""


def trainings(
    begin: Callable[[AttemptSettings], Attempt], setting: AttemptSettings, count: int, within_s: float
) -> list[tuple[Attempt, TrainingResult]]:
    """Train the members of a soup: ``count`` of them, or as many as are expected to fit in ``within_s`` seconds.

    The last one may have been asked to pause.
    """
    start, done = time.monotonic(), list[tuple[Attempt, TrainingResult]]()
    begun = start
    for member in range(count):
        before, begun = begun, time.monotonic()
        if member and begun - start + (begun - before) > within_s:
            break
        finished = tuple(name for attempt, _ in done for name in attempt.rolling.names[:1])
        attempt = begin(replace(setting, member=member, finished=finished))
        done.append((attempt, attempt.fit()))
        if done[-1][1].verdict is Verdict.PAUSE:
            break
    return done


def mean_weights(members: Sequence[Mapping[str, Tensor]]) -> dict[str, Tensor]:
    """Return the mean of the weights of ``members``; counters and other integers are the first member's."""
    first = members[0]
    return {
        name: torch.stack([one[name].float() for one in members]).mean(dim=0).to(value.dtype)
        if value.is_floating_point()
        else value
        for name, value in first.items()
    }


def averaged(
    runtime: StudyRuntime,
    candidate: Candidate,
    network: nn.Module,
    members: Sequence[Mapping[str, Tensor]],
    plan: TrainingPlan,
) -> Mapping[str, Tensor] | None:
    """Return the mean of the weights of ``members``; None if it does worse on the training samples than the first.

    Args:
        members: the one that fits its samples best comes first: others may not have learnt anything.
        plan: how ``network`` was trained; batch norms of the mean get the statistics of its ``plain`` samples.
    """
    if len(members) < 2:
        return None
    objective = _objective(runtime, candidate, network, plan)
    mean = mean_weights(members)
    if plan.plain is not None:
        network.load_state_dict(mean)
        recalibrate(network, plan.plain().epoch(1), plan.precision, MicroBatches(plan.micro_batch), plan.forward)
        mean = fetched(network.state_dict())
    alone, together = objective(members[0]), objective(mean)
    return mean if together >= alone - _TOLERANCE * abs(alone) else None


def side_by_side(
    runtime: StudyRuntime,
    candidate: Candidate,
    network: nn.Module,
    members: Sequence[Mapping[str, Tensor]],
    plan: TrainingPlan,
    most: int,
) -> list[Mapping[str, Tensor]]:
    """Return the weights of at most ``most`` branches: of a member each, or of the mean of several.

    Those that fit the training samples worse than the best one are left out. MobileNetV2 at 128 px, four sets of 200
    to 420 images, mean test accuracy of one training of the last stage, of the mean weights of four, and of four
    branches: 77.8, 77.9, 78.9; of the last two stages, on three sets: 74.4, 75.6, 76.6.

    Args:
        members, plan: as for ``averaged``.
    """
    count = min(most, len(members))
    groups = [members[place::count] for place in range(count)]
    found = [averaged(runtime, candidate, network, group, plan) or group[0] for group in groups]
    if count == 1:
        return found
    objective = _objective(runtime, candidate, network, plan)
    values = [objective(one) for one in found]
    best = max(values)
    return [one for one, value in zip(found, values, strict=True) if value >= best - _TOLERANCE * abs(best)]


def _objective(
    runtime: StudyRuntime, candidate: Candidate, network: nn.Module, plan: TrainingPlan
) -> Callable[[Mapping[str, Tensor]], float]:
    """Return a function that returns the objective of weights on training samples, so that larger is better."""
    samples, forward = _samples(runtime, candidate, plan)

    def objective(weights: Mapping[str, Tensor]) -> float:
        network.load_state_dict(weights)
        evaluator = plan.task.evaluator(plan.classes, plan.precision.device)
        validate(network, samples(), evaluator, plan.precision, MicroBatches(plan.micro_batch), forward)
        return float(evaluator.compute()[plan.objective]) * (1.0 if plan.maximize else -1.0)

    return objective


def outputs(
    runtime: StudyRuntime, candidate: Candidate, network: nn.Module, plan: TrainingPlan, weights: Mapping[str, Tensor]
) -> Tensor:
    """Return the outputs ``(N, classes)`` of ``network`` with ``weights`` for some training samples, as in use."""
    network.load_state_dict(weights)
    network.eval()
    (samples, forward), memory = _samples(runtime, candidate, plan), MicroBatches(plan.micro_batch)
    with torch.inference_mode():
        pieces = [outputs_for(inputs, network, plan.precision, memory, forward) for inputs, _ in samples()]
    return torch.cat([found.float() for batch in pieces for _, found in batch])


def _samples(
    runtime: StudyRuntime, candidate: Candidate, plan: TrainingPlan
) -> tuple[Callable[[], Iterator[Batch]], Forward]:
    """Return some training samples, behind the frozen units if what these make of them is kept, and what runs them."""
    if isinstance(plan.train, FrozenLoader):
        return partial(plan.train.some, SOME), plan.forward
    return partial(runtime.some_in_order(candidate).epoch, 1), whole
