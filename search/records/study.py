"""What a search leaves behind: the language between training, store and report. No torch, no SQL, no Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from search.records import pareto
from search.records.evaluation import Box, ClassResult, Evaluation, Json, Measured, Mistake, Picture
from search.records.rank import CLOCK_TOLERANCE, Objective, Size, rank_key
from search.records.retrained import Refit, Repeat, means
from search.records.states import TrialState, Verdict

__all__ = [
    "CLOCK_TOLERANCE",
    "OPEN",
    "Box",
    "ClassResult",
    "Contender",
    "DatasetRecord",
    "EpochRecord",
    "Evaluation",
    "Failure",
    "Json",
    "Measured",
    "Mistake",
    "Objective",
    "Overlap",
    "PastTrial",
    "Picture",
    "Refit",
    "Rejected",
    "Repeat",
    "Size",
    "StudyRecord",
    "TrialRecord",
    "TrialState",
    "UnitRecord",
    "Verdict",
    "of_target",
    "rank_key",
]


OPEN = 1_000_000
"""Trials that a study shall have in the end whose time or budget alone says when that is."""


def of_target(count: int, target: int) -> str:
    """Return ``12 of 30``, or ``12`` where the study is open."""
    return str(count) if target >= OPEN else f"{count} of {target}"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of one trial.

    Attributes:
        epoch: counted from 1.
        train_loss: mean over the epoch of the task's loss plus the penalty.
        loss_terms: the parts of ``train_loss`` by name, each already multiplied by its strength.
        metrics: validation metrics by name, ``loss`` among them.
        learning_rates: at the end of the epoch, by parameter group (``head``, ``backbone``).
        seconds: wall-clock, validation included.
    """

    epoch: int
    train_loss: float
    metrics: Mapping[str, float]
    learning_rates: Mapping[str, float] = field(default_factory=dict)
    loss_terms: Mapping[str, float] = field(default_factory=dict)
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed: ``kind`` is one word for grouping (``nan``, ``memory``, ``disk``, ``error``)."""

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """Everything the store knows of one trial.

    Attributes:
        number: counted from 0 within the study.
        value: the objective at the best epoch; None until there is one.
        params: what the sampler chose, by parameter name; ``distributions`` its ranges in Optuna's JSON.
        candidate: ``Candidate.to_json()``.
        words: the candidate in one line for people.
        ended: why it ended, one line (``ran all 5 epochs``, ``pruned after epoch 2: ...``).
        seconds: wall-clock of all attempts, building included.
        extras: further facts worth keeping, JSON (cache decision, device, batch that fitted ...).
        objectives: every objective's value once it is complete, by name, in a study of several.
        constraints: by how much of its bound each constraint is broken, by its text; at most 0 where it is kept.
    """

    number: int
    state: TrialState
    value: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    candidate: Json = None
    words: str = ""
    is_baseline: bool = False
    seed: int | None = None
    epochs: tuple[EpochRecord, ...] = ()
    best_epoch: int | None = None
    size: Size | None = None
    evaluation: Evaluation | None = None
    ended: str = ""
    failure: Failure | None = None
    attempts: int = 0
    worker: str = ""
    started_at: datetime | None = None
    finished_at: datetime | None = None
    seconds: float = 0.0
    checkpoint: str | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    dataset_fingerprint: str = ""
    extras: Mapping[str, Json] = field(default_factory=dict)
    objectives: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def planned_epochs(self) -> int | None:
        """How many epochs it was to run; None where an earlier version did not note that."""
        cost = self.extras.get("cost") or {}
        return int(cost["epochs"]) if cost.get("epochs") else None

    @property
    def broken(self) -> tuple[str, ...]:
        """The constraints that it breaks, in words."""
        return tuple(text for text, excess in self.constraints.items() if excess > 0)


class Contender(NamedTuple):
    """A trial whose candidate was trained again: how many trainings it has had, and the mean of their objective."""

    trial: TrialRecord
    trainings: int
    mean: float


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was not trained because it breaks a constraint: what samplers learn from it."""

    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    constraints: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PastTrial:
    """What sampling, pruning and cost prediction learn from a trial: the light part of a TrialRecord.

    Attributes:
        params: empty as long as the trial has not been sampled.
        last_epoch: number and objective of its last epoch so far; None before the first.
        fingerprint: of its candidate; empty while there is none.
        seconds: of all attempts that have ended; of the epochs so far while it runs.
        cost: ``CostFeatures`` as JSON, from its ``extras``; empty while the network has not been built.
        known: what it costs as known before training, by name (``search.records.objectives``).
        objectives, constraints: as in TrialRecord.
        rejected: candidates that were drawn for it and broke a constraint.
        marks: what the sampler wrote on the trial, a genetic algorithm's generation.
    """

    number: int
    state: TrialState
    value: float | None = None
    params: Mapping[str, Any] = field(default_factory=dict)
    distributions: Mapping[str, str] = field(default_factory=dict)
    last_epoch: tuple[int, float] | None = None
    fingerprint: str = ""
    seconds: float = 0.0
    failure_kind: str = ""
    cost: Mapping[str, float] = field(default_factory=dict)
    known: Mapping[str, float] = field(default_factory=dict)
    objectives: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)
    rejected: tuple[Rejected, ...] = ()
    marks: Mapping[str, Json] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        return all(excess <= 0 for excess in self.constraints.values())


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """One unit of the pretrained chain, for figures and tables."""

    name: str
    parameters: int
    flops: int
    reduction: int
    """Input height over output height."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many samples of a ``split`` are in training too; of training itself: how many are duplicates.

    Attributes:
        total: samples of the split.
        first: name of the first of them.
    """

    split: str
    count: int
    total: int
    first: str

    def words(self, noun: str) -> str:
        """Return it in a sentence; ``noun`` is what the samples are called."""
        if self.split == "train":
            return f"{self.count} of {self.total} training {noun} are duplicates of others; one of them: {self.first}."
        return f"{self.counted(noun)}, so results on them are too optimistic; the first: {self.first}."

    def counted(self, noun: str) -> str:
        """Return how many there are, in a clause that names no file."""
        name = "validation" if self.split == "val" else self.split
        return f"{self.count} of {self.total} {name} {noun} are in training too"


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """The data set as found.

    Attributes:
        counts: split -> class -> number of samples.
        fingerprint: of contents, labels and splits.
        skipped: files left out under ``on_error: skip``, with the reason.
        sizes: split -> number of samples; empty in studies of an older version, which had one class a sample.
        inputs, outputs: what goes in (``images``, ``tokens``) and what ``classes`` are (``classes``, ``numbers``).
        looks: brightness, contrast, saturation, detail, side (``data.image_statistics``); empty where never taken.
        noun: what people call the samples: ``images``, ``texts``, ``sentences``.
        overlaps: samples that are in training too; empty in studies of an older version, which did not look.
    """

    name: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    inputs: str = "images"
    outputs: str = "classes"
    looks: Mapping[str, float] = field(default_factory=dict)
    noun: str = "images"
    overlaps: tuple[Overlap, ...] = ()

    @property
    def leaks(self) -> bool:
        """Whether validation samples are in training too."""
        return any(found.split == "val" for found in self.overlaps)

    def samples(self) -> dict[str, int]:
        """Return how many samples each split has."""
        return dict(self.sizes) or {split: sum(found.values()) for split, found in self.counts.items()}


@dataclass(frozen=True, slots=True)
class StudyRecord:
    """Everything the store knows of one study.

    Attributes:
        spec: the study file as validated data (JSON); ``spec_text`` as the user wrote it.
        identity: the part of the spec that makes two studies the same search (data, backbone, space,
            budget, objective), JSON; a study is continued only when it is equal.
        metric: name of the objective; ``maximize`` its direction.
        target: the number of trials the study is to have.
        trials: in order of number.
        repeats: its candidates trained again with fresh seeds; ``refits``: trained for use by hand; ``finals``: by
            a run at its end.
        parent: of a study that only holds such trainings, the one whose they are; empty for a search.
    """

    name: str
    task: str
    metric: str
    maximize: bool
    backbone: str
    weights: str
    dataset: DatasetRecord
    target: int
    spec: Json = None
    spec_text: str = ""
    identity: Json = None
    units: tuple[UnitRecord, ...] = ()
    trials: tuple[TrialRecord, ...] = ()
    created_at: datetime | None = None
    versions: Mapping[str, str] = field(default_factory=dict)
    repeats: tuple[Repeat, ...] = ()
    refits: tuple[Refit, ...] = ()
    finals: tuple[Refit, ...] = ()
    parent: str = ""

    def is_better(self, value: float, than: float) -> bool:
        return value > than if self.maximize else value < than

    @property
    def ranking(self) -> tuple[TrialRecord, ...]:
        """Complete trials with a value that break no constraint, the best first; ties as ``rank_key`` breaks them."""
        return tuple(sorted(self._done(), key=self._rank_key()))

    @property
    def best(self) -> TrialRecord | None:
        """The winner: the best mean of those that were trained again, where the search's best was; else that one."""
        chosen = self.contenders
        return chosen[0].trial if chosen else min(self._done(), key=self._rank_key(), default=None)

    @property
    def contenders(self) -> tuple[Contender, ...]:
        """The search's best trial and those that were trained again beside it, the best mean first.

        Equals are put in order as ``rank_key`` does: the fewest parameters first. Empty before the search's best has
        been trained again, and where several objectives make the front the result.
        """
        if not self.repeats or len(self.objectives) > 1:
            return ()
        ranked = self.ranking
        values = means(self.repeats, {trial.number: trial.value or 0.0 for trial in ranked})
        among = [Contender(trial, *values[trial.number]) for trial in ranked if trial.number in values]
        wanted = self.objectives
        key = lambda one: rank_key(wanted, one.mean, {}, one.trial.size, one.trial.number)  # noqa: E731
        return tuple(sorted(among, key=key))

    @property
    def tied(self) -> tuple[TrialRecord, ...]:
        """The trials that reach the same value as the best one, in order of number."""
        best = self.best
        return tuple(trial for trial in self._done() if best and trial.value == best.value and trial is not best)

    def _rank_key(self) -> Callable[[TrialRecord], tuple[float, ...]]:
        wanted = self.objectives
        return lambda trial: rank_key(wanted, trial.value, trial.objectives, trial.size, trial.number)

    def _done(self) -> Iterator[TrialRecord]:
        for trial in self.trials:
            if trial.state is TrialState.COMPLETE and trial.value is not None and not trial.broken:
                yield trial

    @property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, the first one is ``metric``."""
        stated = ((self.spec or {}).get("study") or {}).get("objectives") or ()
        objectives = tuple(Objective(one["name"], one["direction"] == "maximize") for one in stated)
        return objectives or (Objective(self.metric, self.maximize),)

    @property
    def front(self) -> tuple[TrialRecord, ...]:
        """Complete trials that no other one beats in all objectives, the best in the first one first."""
        wanted = self.objectives
        names = [one.name for one in wanted[1:]]
        ranked = [trial for trial in self.ranking if all(name in trial.objectives for name in names)]
        points = [(trial.value or 0.0, *(trial.objectives[name] for name in names)) for trial in ranked]
        places = pareto.front(points, [one.maximize for one in wanted], [one.tolerance for one in wanted])
        return tuple(ranked[place] for place in places)

    @property
    def baseline(self) -> TrialRecord | None:
        return next((trial for trial in self.trials if trial.is_baseline), None)
