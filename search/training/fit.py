"""Trains one network: epochs, early stopping, checkpoints, resuming."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.optim.swa_utils import AveragedModel

from search.data.transfer import fetched
from search.errors import TrialError
from search.records.study import EpochRecord, Evaluation, Json, Verdict
from search.tasks._base import Task
from search.training import checkpoint as files
from search.training.averaging import moving_average
from search.training.balance import weighted
from search.training.batch_norm_statistics import recalibrate
from search.training.compiling import Compiled, Mode
from search.training.epoch import Batch, Forward, LeaveError, Penalties, Step, train, validate, whole
from search.training.out_of_memory import MicroBatches
from search.training.precision import Precision

Optimizer = torch.optim.Optimizer
Schedule = torch.optim.lr_scheduler.LRScheduler
CHECKPOINT_EVERY_S = 10.0
"""Seconds between checkpoints, written at the end of an epoch: the most that a killed worker loses."""


class EpochBatches(Protocol):
    """Batches of every epoch; a given epoch always has the same ones."""

    def epoch(self, number: int) -> Iterable[Batch]:
        """Return the batches of epoch ``number``, counted from 1."""


class Start(Protocol):
    """Gives a network its initial weights."""

    def __call__(self, network: nn.Module) -> Mapping[str, Json]:
        """Set the weights in place; return what the trial's record keeps of it."""

    def weighing(self, weights: Tensor) -> Start:
        """Return the same start for samples weighted by class, ``weights`` ``(classes,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingPlan:
    """Everything that determines how a network is trained.

    Attributes:
        optimize: returns optimiser and per-step schedule for the network's parameters.
        penalties: the terms added to the task's loss, each multiplied by its strength.
        objective: metric that picks the best epoch; ``maximize`` its direction.
        on_epoch: called after every epoch; returns whether to continue.
        leave: called before every step; true ends the training in the middle of the epoch.
        folder: of checkpoints for resuming; None writes none.
        micro_batch: most samples that fitted in memory before; None if memory never ran out.
        validates: false if nothing is left to validate on: the last epoch's weights then are the result.
        patience: number of epochs without a better one after which training ends; 0: never.
        keeps_end: whether a checkpoint of the last epoch, from which the result can be restored, stays in ``folder``.
        averages: whether a moving average of the weights is validated, kept and returned in place of the last ones.
        class_weights: weight of a sample of each class ``(classes,)``; None: all equal.
        forward: how the network runs on the batches of ``train`` and ``val``: from its input, or from after its prefix.
        facts: called at the end for further facts of the trial's record.
        start: sets the network's initial weights; None leaves them unchanged.
        plain: returns training samples prepared as for validation, from which batch norms take their statistics at the
            end if nothing is validated; None keeps those of training.
        is_solved: whether that is the whole training, which one epoch at a learning rate of 0 only measures.
        compiling: whether training steps are compiled; networks of the same ``backbone`` share the experience.
    """

    task: Task
    classes: tuple[str, ...]
    train: EpochBatches
    val: EpochBatches
    epochs: int
    objective: str
    maximize: bool
    seed: int
    precision: Precision
    optimize: Callable[[nn.Module, int], tuple[Optimizer, Schedule]]
    steps_per_epoch: int
    penalties: Callable[[nn.Module], Penalties]
    label_smoothing: float = 0.0
    on_epoch: Callable[[EpochRecord], Verdict] = lambda _: Verdict.CONTINUE
    leave: Callable[[], bool] = lambda: False
    folder: Path | files.Rolling | None = None
    micro_batch: int | None = None
    class_weights: Tensor | None = None
    validates: bool = True
    keeps_end: bool = False
    averages: bool = False
    patience: int = 0
    forward: Forward = whole
    facts: Callable[[], Mapping[str, Json]] = dict
    start: Start | None = None
    plain: Callable[[], EpochBatches] | None = None
    is_solved: bool = False
    compiling: Mode = "off"
    backbone: str = ""

    def has_waited(self, epoch: int, best: EpochRecord | None) -> bool:
        """Return whether patience runs out after ``epoch``, the best one so far being ``best``."""
        return self.validates and best is not None and 0 < self.patience <= epoch - best.epoch

    def loss(self, outputs: Any, targets: Any) -> Tensor:
        """Return the task's mean loss of a batch, with labels smoothed and classes weighted as the recipe says."""
        if self.class_weights is not None:
            targets = weighted(targets, self.class_weights)
        return self.task.loss(outputs, targets, self.label_smoothing)


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """The result of a training.

    Attributes:
        verdict: CONTINUE if all epochs ran, else what ended it.
        best_epoch: epoch of the best objective, counted from 1; None if none finished.
        weights: the network's state dict at the best epoch, on the CPU.
        micro_batch: most samples that fitted in memory at once; None if whole batches did.
        reason: why it ended early by itself; empty if all epochs ran.
        facts: of the plan, for the trial's record.
    """

    verdict: Verdict
    epochs: tuple[EpochRecord, ...]
    best_epoch: int | None
    weights: Mapping[str, Tensor]
    evaluation: Evaluation | None
    micro_batch: int | None
    facts: Mapping[str, Json] = field(default_factory=dict)
    reason: str = ""


def waited(best: EpochRecord) -> str:
    """Return in words why training ended early: no epoch after ``best`` was better."""
    return f"no better one since epoch {best.epoch}"


@dataclass(slots=True)
class _Progress:
    epochs: tuple[EpochRecord, ...] = ()
    best: EpochRecord | None = None
    weights: Mapping[str, Tensor] | None = None
    evaluation: Evaluation | None = None
    started: Mapping[str, Json] = field(default_factory=dict)
    average: AveragedModel | None = None


def fit(network: nn.Module, plan: TrainingPlan) -> TrainingResult:
    """Train ``network`` in place and return the result.

    Every epoch is seeded by the plan's seed and its number, so that training resumed from a checkpoint in
    ``plan.folder`` continues as if it had never been interrupted.

    Raises:
        TrialError: the loss is not finite, or memory or disk space has run out.
    """
    optimizer, schedule = plan.optimize(network, plan.steps_per_epoch * plan.epochs)
    memory = MicroBatches(plan.micro_batch)
    forward = _forward(plan)
    step = Step(
        network,
        plan.loss,
        plan.penalties(network),
        optimizer,
        schedule,
        plan.precision,
        memory,
        forward,
    )
    average = moving_average(network, optimizer, plan.steps_per_epoch * plan.epochs) if plan.averages else None
    progress = _resume(network, optimizer, schedule, plan, average)
    if plan.start is not None and not progress.epochs:
        progress.started = plan.start(network)
    saved_at = time.monotonic()
    verdict, reason = Verdict.CONTINUE, ""
    for number in range(len(progress.epochs) + 1, plan.epochs + 1):
        try:
            record = _epoch(step, plan, number, progress)
        except LeaveError:
            verdict = Verdict.PAUSE
            break
        verdict = plan.on_epoch(record)
        if verdict is Verdict.CONTINUE and number < plan.epochs and plan.has_waited(number, progress.best):
            verdict, reason = Verdict.STOP, waited(progress.best or record)
        is_end = number == plan.epochs
        goes_on = (plan.keeps_end or not is_end) and verdict not in (Verdict.PRUNE, Verdict.STOP)
        is_due = is_end or verdict is Verdict.PAUSE or time.monotonic() - saved_at >= CHECKPOINT_EVERY_S
        if plan.folder and goes_on and is_due:
            written = _checkpoint(network, optimizer, schedule, progress)
            files.write_rolling(plan.folder, number, written)
            saved_at = time.monotonic()
        if verdict is not Verdict.CONTINUE:
            break
    best = progress.best
    return TrainingResult(
        verdict,
        progress.epochs,
        best.epoch if best else None,
        progress.weights or {},
        progress.evaluation,
        memory.limit,
        {**plan.facts(), **progress.started, **(forward.record() if isinstance(forward, Compiled) else {})},
        reason,
    )


def _forward(plan: TrainingPlan) -> Forward:
    if plan.compiling == "off":
        return plan.forward
    steps, device = plan.steps_per_epoch * plan.epochs, plan.precision.device
    return Compiled(plan.forward, steps, plan.compiling, plan.backbone, device)


def _epoch(step: Step, plan: TrainingPlan, number: int, progress: _Progress) -> EpochRecord:
    begin = time.perf_counter()
    torch.manual_seed((plan.seed * 1_000_003 + number) % 2**63)
    losses = train(step, plan.train.epoch(number), plan.leave)
    if not math.isfinite(losses.total):
        terms = ", ".join(f"{name} {value:g}" for name, value in losses.terms.items())
        raise TrialError(
            f"the training loss is not finite in epoch {number} ({terms}); lower learning rates help", "nan"
        )
    judged = step.network if progress.average is None else progress.average.module
    evaluator = plan.task.evaluator(plan.classes, plan.precision.device)
    if plan.plain is not None and not plan.validates and number == plan.epochs:
        plain = _until(plan.leave, plan.plain().epoch(1))
        recalibrate(judged, plain, plan.precision, step.memory, plan.forward)
    if plan.validates:
        val = _until(plan.leave, plan.val.epoch(1))
        validate(judged, val, evaluator, plan.precision, step.memory, plan.forward)
    metrics = dict(evaluator.compute()) if plan.validates else {}
    rates = {str(group.get("name", index)): group["lr"] for index, group in enumerate(step.optimizer.param_groups)}
    record = EpochRecord(number, losses.total, metrics, rates, losses.terms, time.perf_counter() - begin)
    progress.epochs = (*progress.epochs, record)
    if not plan.validates or _is_better(record, progress.best, plan):
        progress.best, progress.evaluation = record, evaluator.judged(plan.objective) if plan.validates else None
        progress.weights = fetched(judged.state_dict())
    return record


def _until(leave: Callable[[], bool], batches: Iterable[Batch]) -> Iterator[Batch]:
    for batch in batches:
        if leave():
            raise LeaveError
        yield batch


def _is_better(record: EpochRecord, than: EpochRecord | None, plan: TrainingPlan) -> bool:
    value = record.metrics[plan.objective]
    if than is None or not math.isfinite(than.metrics[plan.objective]):
        return True
    best = than.metrics[plan.objective]
    return value > best if plan.maximize else value < best


def _checkpoint(network: nn.Module, optimizer: Optimizer, schedule: Schedule, progress: _Progress) -> files.Checkpoint:
    state = optimizer.state_dict()
    tensors = {f"network.{name}": value for name, value in network.state_dict().items()}
    if progress.average is not None:
        tensors |= {f"average.{name}": value for name, value in progress.average.state_dict().items()}
    tensors |= {f"best.{name}": value for name, value in (progress.weights or {}).items()}
    numbers: dict[str, Json] = {}
    for index, values in state["state"].items():
        for key, value in values.items():
            name = f"{index}.{key}"
            if isinstance(value, Tensor):
                tensors[f"optimizer.{name}"] = value
            else:
                numbers[name] = value
    facts = {
        "epochs": [asdict(record) for record in progress.epochs],
        "best_epoch": progress.best.epoch if progress.best else None,
        "evaluation": asdict(progress.evaluation) if progress.evaluation else None,
        "optimizer": {"numbers": numbers, "groups": state["param_groups"]},
        "schedule": schedule.state_dict(),
        "started": dict(progress.started),
    }
    return files.Checkpoint(tensors, facts)


def _resume(
    network: nn.Module, optimizer: Optimizer, schedule: Schedule, plan: TrainingPlan, average: AveragedModel | None
) -> _Progress:
    checkpoint = files.read_newest(plan.folder) if plan.folder else None
    if checkpoint is None:
        return _Progress(average=average)
    network.load_state_dict(checkpoint.part("network."))
    if average is not None:
        average.load_state_dict(checkpoint.part("average."))
    state: dict[int, dict[str, Json]] = {}
    saved = checkpoint.facts["optimizer"]
    for name, value in (*checkpoint.part("optimizer.").items(), *saved["numbers"].items()):
        index, key = name.split(".", 1)
        state.setdefault(int(index), {})[key] = value
    optimizer.load_state_dict({"state": state, "param_groups": saved["groups"]})
    for parameter, values in optimizer.state.items():
        for key, value in values.items():
            # Checkpoints have no memory layout, but fused steps walk through memory: theirs has to be the parameter's.
            if isinstance(value, Tensor) and value.shape == parameter.shape:
                values[key] = torch.empty_like(parameter).copy_(value)
    schedule.load_state_dict(dict(checkpoint.facts["schedule"]))
    epochs = tuple(EpochRecord(**record) for record in checkpoint.facts["epochs"])
    best = next((record for record in epochs if record.epoch == checkpoint.facts["best_epoch"]), None)
    evaluation = Evaluation.from_json(checkpoint.facts["evaluation"]) if checkpoint.facts["evaluation"] else None
    return _Progress(
        epochs, best, checkpoint.part("best.") or None, evaluation, checkpoint.facts.get("started", {}), average
    )
