"""Many heads on one frozen backbone, trained at once: one forward pass of the backbone, then stacked parameters.

Trials that freeze every unit differ only in head and recipe. Heads of the same shape become one batched model,
each with its own learning rate, dropout, penalty and schedule; heads of other shapes are further such models on the
same batch of features. Each gives the same result as training it alone on the same batches, up to rounding.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor

from search.data.transfer import fetched
from search.errors import FinetuneError, TrialError
from search.records.study import EpochRecord, Evaluation, Verdict
from search.tasks._base import Evaluator
from search.training.epoch import Batch
from search.training.fit import EpochBatches, TrainingResult, waited
from search.training.precision import Precision
from search.training.stacking import Seat, Stack, StackedHead, can_stack
from spaces.networks.build import Network

__all__ = ["Behind", "StackedHead", "can_stack", "fit_heads"]


@dataclass(frozen=True, slots=True)
class Behind:
    """Batches of images turned into batches of the outputs of the frozen units of ``network``."""

    epochs: EpochBatches
    network: Network
    precision: Precision

    def epoch(self, number: int) -> Iterator[Batch]:
        self.network.eval()
        for images, targets in self.epochs.epoch(number):
            with torch.no_grad(), self.precision.autocast():
                features = self.network.prefix(self.precision.place(images))
            yield features, targets


def fit_heads(
    members: Sequence[StackedHead], train: EpochBatches, val: EpochBatches
) -> list[TrainingResult | FinetuneError]:
    """Train the heads of all ``members`` in place and return their results, in the same order.

    A member that is pruned, or whose loss is not finite, does not affect the others. An epoch's seconds are divided
    equally among those that trained in it, so that they add up to the use of the device.

    Args:
        train, val: batches of the frozen units' output ``(N, ...)`` and targets, for all members.

    Returns:
        Each member's result, or why it could not continue (a loss that is not finite, a lost lease).
    """
    for member in members:
        if member.plan.start is not None:
            member.plan.start(member.network)
    runs = [_Run(member) for member in members]
    stacks = _stacked(runs)
    number = 0
    while stacks:
        number += 1
        begin = time.perf_counter()
        if not _train(stacks, train.epoch(number), number, members[0].plan.leave):
            for run in (run for stack in stacks for run in stack.runs):
                run.verdict = Verdict.PAUSE
            break
        _validate(stacks, val.epoch(1))
        active = sum(len(stack.runs) for stack in stacks)
        seconds = (time.perf_counter() - begin) / active
        for stack in stacks:
            for index, run in enumerate(stack.runs):
                run.end_epoch(number, stack, index, seconds)
            stack.keep([index for index, run in enumerate(stack.runs) if run.goes_on(number)])
        stacks = [stack for stack in stacks if stack.runs]
    return [run.result() for run in runs]


@dataclass(slots=True)
class _Run(Seat):
    """A member in training: its results so far, and its evaluators."""

    evaluator: Evaluator | None = None
    sums: dict[str, float] = field(default_factory=dict)
    epochs: tuple[EpochRecord, ...] = ()
    best: EpochRecord | None = None
    weights: dict[str, Tensor] = field(default_factory=dict)
    evaluation: Evaluation | None = None
    verdict: Verdict = Verdict.CONTINUE
    reason: str = ""
    error: FinetuneError | None = None

    def goes_on(self, number: int) -> bool:
        return self.error is None and self.verdict is Verdict.CONTINUE and number < self.member.plan.epochs

    def end_epoch(self, number: int, stack: Stack[_Run], place: int, seconds: float) -> None:
        """Record the epoch, keep the weights of the best, and ask whether to continue."""
        plan = self.member.plan
        total = math.fsum(self.sums.values())
        if not math.isfinite(total):
            terms = ", ".join(f"{name} {value:g}" for name, value in self.sums.items())
            message = f"the training loss is not finite in epoch {number} ({terms}); lower learning rates help"
            self.error = TrialError(message, "nan")
            return
        if self.evaluator is None:
            raise RuntimeError("an epoch ended without its validation")
        rates = {"head": self.member.recipe.lr_head * self.factor(stack.steps)}
        record = EpochRecord(number, total, dict(self.evaluator.compute()), rates, dict(self.sums), seconds)
        self.epochs = (*self.epochs, record)
        if self._is_better(record):
            self.best, self.evaluation = record, self.evaluator.judged(plan.objective)
            self.weights = stack.weights(place)
        try:
            self.verdict = plan.on_epoch(record)
            if self.goes_on(number) and plan.has_waited(number, self.best):
                self.verdict, self.reason = Verdict.STOP, waited(self.best or record)
        except FinetuneError as error:
            self.error = error

    def result(self) -> TrainingResult | FinetuneError:
        if self.error is not None:
            return self.error
        frozen = fetched(self.member.network.state_dict())
        best, weights = self.best.epoch if self.best else None, frozen | self.weights
        return TrainingResult(self.verdict, self.epochs, best, weights, self.evaluation, None, reason=self.reason)

    def _is_better(self, record: EpochRecord) -> bool:
        plan = self.member.plan
        value = record.metrics[plan.objective]
        if self.best is None or not math.isfinite(self.best.metrics[plan.objective]):
            return True
        best = self.best.metrics[plan.objective]
        return value > best if plan.maximize else value < best


def _stacked(runs: Sequence[_Run]) -> list[Stack[_Run]]:
    stacks: dict[object, list[_Run]] = {}
    for run in runs:
        stacks.setdefault((run.layout.key, run.member.recipe.name), []).append(run)
    return [Stack(group) for group in stacks.values()]


def _train(stacks: Sequence[Stack[_Run]], batches: Iterable[Batch], number: int, leave: Callable[[], bool]) -> bool:
    """Train every stack on every batch; return False if the worker had to stop in between."""
    sums: list[dict[str, Tensor]] = [{} for _ in stacks]
    samples = 0
    for run in (run for stack in stacks for run in stack.runs):
        run.generator.manual_seed((run.member.plan.seed * 1_000_003 + number) % 2**63)
    precision = stacks[0].runs[0].member.plan.precision
    for features, targets in batches:
        if leave():
            return False
        fronts: dict[tuple[str, ...], Tensor] = {}
        for stack, terms in zip(stacks, sums, strict=True):
            if stack.front_key not in fronts:
                with torch.no_grad(), precision.autocast():
                    fronts[stack.front_key] = stack.front(features)
            for name, value in stack.step(fronts[stack.front_key], targets, precision).items():
                terms[name] = terms.get(name, 0) + value * len(targets)
        samples += len(targets)
    places = enumerate(zip(stacks, sums, strict=True))
    totals = fetched({f"{place}.{name}": value for place, (_, terms) in places for name, value in terms.items()})
    for place, (stack, terms) in enumerate(zip(stacks, sums, strict=True)):
        means = {name: (totals[f"{place}.{name}"] / max(samples, 1)).tolist() for name in terms}
        for index, run in enumerate(stack.runs):
            kind = run.member.penalty.kind
            named = {"task": "task"} | ({"penalty": kind} if kind not in ("none", "decay") else {})
            run.sums = {named[name]: values[index] for name, values in means.items() if name in named}
    return True


@torch.inference_mode()
def _validate(stacks: Sequence[Stack[_Run]], batches: Iterable[Batch]) -> None:
    for run in (run for stack in stacks for run in stack.runs):
        plan = run.member.plan
        run.evaluator = plan.task.evaluator(plan.classes, plan.precision.device)
    precision = stacks[0].runs[0].member.plan.precision
    for features, targets in batches:
        fronts: dict[tuple[str, ...], Tensor] = {}
        for stack in stacks:
            with precision.autocast():
                if stack.front_key not in fronts:
                    fronts[stack.front_key] = stack.front(features)
                outputs = stack.outputs(fronts[stack.front_key], {}).float()
            for run, output in zip(stack.runs, outputs, strict=True):
                if run.evaluator is not None:
                    run.evaluator.update(output, targets)
