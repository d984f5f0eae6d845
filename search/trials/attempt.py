"""One training from its claim to its record, for searched, confirmed and refitted candidates alike.

Each kind of training chooses candidate, data and seed, and stores its result, in its own way; everything in between is
done here: build, size, resume, fit, best epoch, hand back.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from search.artifacts.stores import resuming
from search.records.study import EpochRecord, Size, Verdict
from search.records.uncertainty import CALIBRATED
from search.runtime import few_labels
from search.runtime.study_runtime import StudyRuntime
from search.store import memory_fits, writing
from search.store.leases import Claim
from search.training import checkpoint as files
from search.training import out_of_memory
from search.training.fit import TrainingPlan, TrainingResult, fit
from search.trials.context import TrialContext
from search.trials.epoch_recorder import EpochRecorder
from search.trials.resampled import fresh_seed
from spaces.candidate import Candidate
from spaces.networks.build import Network


@dataclass(frozen=True, slots=True, kw_only=True)
class AttemptSettings:
    """How a training differs from others of its candidate.

    Attributes:
        words: its description, shown to observers.
        kind: of trainings outside of the search, part of the names of their checkpoints; empty for a trial.
        epochs: the number reported to observers; the candidate's own by default.
        validates: whether the objective has to be a number after every epoch.
        keeps_prefix: whether outputs of frozen units are computed once and kept; else every epoch runs all units.
        member: number in a model soup, from 0; members start from the same weights and see the data in other orders.
        finished: checkpoints of the earlier members.
    """

    seed: int
    words: str
    kind: str = ""
    epochs: int | None = None
    validates: bool = True
    keeps_prefix: bool = True
    member: int = 0
    finished: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Attempt:
    """A claimed training whose network is built and sized: ready to train.

    Attributes:
        runtime: with the data of this training.
        rolling: its checkpoints for resuming.
        optuna_number: the trial's number in Optuna; -1 outside of the search.
    """

    context: TrialContext
    runtime: StudyRuntime
    claim: Claim
    candidate: Candidate
    network: Network
    size: Size
    plan: TrainingPlan
    recorder: EpochRecorder
    rolling: files.Rolling
    optuna_number: int = -1

    def fit(self) -> TrainingResult:
        """Train the attempt, alone, from its last checkpoint if there is one."""
        return fit(self.network, self.plan)

    def is_handed_back(self, result: TrainingResult, seconds: float) -> bool:
        """Return whether ``result`` is unfinished; store its seconds then, and the batch size that fitted in memory."""
        if result.micro_batch is not None and result.micro_batch != self.plan.micro_batch:
            memory_fits.remember(self.context.engine, *_memory(self.context, self.candidate), result.micro_batch)
        if result.verdict is Verdict.PAUSE:
            writing.add_seconds(self.context.engine, self.claim, seconds)
        return result.verdict is Verdict.PAUSE


def begin(
    context: TrialContext, runtime: StudyRuntime, claim: Claim, candidate: Candidate, setting: AttemptSettings
) -> Attempt:
    """Return the claimed training of ``candidate``, ready to train; stores its size and notifies observers."""
    network = runtime.build(candidate, setting.seed)
    size = runtime.size(network)
    writing.record_size(context.engine, claim, size)
    epochs = runtime.epochs(candidate)
    if not setting.member:
        context.observer.trial_started(claim.number, setting.words, setting.epochs or epochs)
    recorder = EpochRecorder(
        context,
        claim,
        objective=runtime.spec.objective if setting.validates else "",
        judged_until=0 if setting.kind else epochs,
        is_reference=candidate == runtime.space.baseline(),
    )
    rolling = _rolling(context, claim, setting)
    on_epoch, known = recorder.on_epoch, network if setting.keeps_prefix else None
    seed = fresh_seed(setting.seed, f"member {setting.member}") if setting.member else setting.seed
    plan = runtime.plan(candidate, seed, on_epoch, context.leave, rolling, known)
    plan = few_labels.adapted(runtime, plan, candidate, network)
    plan = replace(plan, micro_batch=memory_fits.recall(context.engine, *_memory(context, candidate)))
    return Attempt(context, runtime, claim, candidate, network, size, plan, recorder, rolling)


def best_epoch(result: TrainingResult) -> EpochRecord:
    """Return the epoch whose weights are kept: the best one, else the last."""
    return result.epochs[(result.best_epoch or len(result.epochs)) - 1]


def whole(epochs: int) -> str:
    """Return why a training ended that ran all its ``epochs``."""
    return f"ran all {epochs} epochs" if epochs > 1 else "ran its only epoch"


def calibration(result: TrainingResult) -> dict[str, float]:
    """Return the calibrated loss of the epoch whose weights are kept, as a fact of the training, where it is known."""
    metrics = best_epoch(result).metrics
    return {CALIBRATED: metrics[CALIBRATED]} if CALIBRATED in metrics else {}


def _memory(context: TrialContext, candidate: Candidate) -> tuple[str, str, str]:
    """Return study, structure and kind of device: the key under which the batch size that fitted is stored."""
    runtime = context.runtime
    structure = memory_fits.structure_key(candidate.to_json())
    return runtime.spec.name, structure, out_of_memory.kind_of(runtime.precision.device)


def _rolling(context: TrialContext, claim: Claim, setting: AttemptSettings) -> files.Rolling:
    """Return the checkpoints for resuming, whose names are in the store."""
    prefix = resuming(context.key, claim.number)
    if setting.kind:
        prefix = f"{resuming(context.key)}{setting.kind}-{claim.number:05d}/{setting.member}-"

    def record(names: tuple[str, ...]) -> None:
        writing.record_resume(context.engine, claim, (*names, *setting.finished))

    return files.Rolling(context.artifact_store, prefix, claim.resume, record)
