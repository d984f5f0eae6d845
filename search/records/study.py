"""Records of a search, shared by training, store and report. No torch, no SQL, no Optuna."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from operator import attrgetter
from typing import Any, NamedTuple

from search.records import pareto
from search.records.evaluation import Box, ClassResult, Evaluation, Json, Measured, Mistake, Picture
from search.records.rank import CLOCK_TOLERANCE, Objective, Size, rank_key
from search.records.retrained import Refit, Repeat, means
from search.records.states import TrialState, Verdict
from search.records.uncertainty import calibrated_loss, preferred_first

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
"""Target number of trials of a study that only its time or budget ends."""


def of_target(count: int, target: int) -> str:
    """Return ``12 of 30``, or ``12`` if the study is open-ended."""
    return str(count) if target >= OPEN else f"{count} of {target}"


@dataclass(frozen=True, slots=True)
class EpochRecord:
    """One epoch of one trial.

    Attributes:
        epoch: counted from 1.
        train_loss: the task's loss plus the penalty, averaged over the epoch.
        loss_terms: the terms of ``train_loss`` by name, each already multiplied by its weight.
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
    """One trial, as the store holds it.

    Attributes:
        number: counted from 0 within the study.
        value: the objective at the best epoch; None until there is one.
        params: what the sampler chose, by parameter name; ``distributions`` its ranges in Optuna's JSON.
        candidate: ``Candidate.to_json()``.
        words: one-line description of the candidate.
        ended: why it ended, in one line (``ran all 5 epochs``, ``pruned after epoch 2: ...``).
        seconds: wall-clock time of all attempts, including building.
        extras: further facts, JSON (cache decision, device, batch size that fitted ...).
        objectives: every objective's value once it is complete, by name, in a study of several.
        constraints: excess of every constraint as a share of its bound, by its text; at most 0 if satisfied.
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
        """How many epochs it was to run; None in trials of earlier versions."""
        cost = self.extras.get("cost") or {}
        return int(cost["epochs"]) if cost.get("epochs") else None

    @property
    def prior(self) -> int:
        """How many traits it has that did better on other data (``search.trials.draws.prior_of``)."""
        return int(self.extras.get("prior") or 0)

    @property
    def backbone(self) -> str:
        """The name of its candidate's backbone; empty while there is no candidate."""
        structure = self.candidate.get("structure") if isinstance(self.candidate, Mapping) else None
        return str(structure.get("backbone", "")) if isinstance(structure, Mapping) else ""

    @property
    def broken(self) -> tuple[str, ...]:
        """The texts of the constraints that it breaks."""
        return tuple(text for text, excess in self.constraints.items() if excess > 0)


class Contender(NamedTuple):
    """A trial with the number of its candidate's trainings, and the means of their objective and calibrated loss."""

    trial: TrialRecord
    trainings: int
    mean: float
    calibrated_loss: float | None


@dataclass(frozen=True, slots=True)
class Rejected:
    """A candidate that was not trained because it breaks a constraint, as samplers learn from it."""

    params: Mapping[str, Any]
    distributions: Mapping[str, str]
    constraints: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class PastTrial:
    """The light part of a TrialRecord: what sampling, pruning and cost prediction learn from.

    Attributes:
        params: empty as long as the trial has not been sampled.
        last_epoch: number and objective of its last epoch so far; None before the first.
        fingerprint: of its candidate; empty while there is none.
        seconds: of all attempts that have ended; of the epochs so far while it runs.
        cost: ``CostFeatures`` as JSON, from its ``extras``; empty while the network has not been built.
        known: its costs that were known before training, by name (``search.records.objectives``).
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
    """One unit of the pretrained chain, as shown in figures and tables."""

    name: str
    parameters: int
    flops: int
    reduction: int
    """Input height over output height."""


@dataclass(frozen=True, slots=True)
class Overlap:
    """How many samples of a ``split`` are also in training; for training itself, how many are duplicates.

    Attributes:
        total: samples of the split; ``first`` names one that is meant.
    """

    split: str
    count: int
    total: int
    first: str

    def words(self, noun: str) -> str:
        """Return a sentence about the overlap; ``noun`` names the samples."""
        named = self.first if self.first.endswith((".", "?", "!")) else f"{self.first}."  # texts end as they do
        if self.split == "train":
            return f"{self.count} of {self.total} training {noun} are duplicates of others; one of them: {named}"
        return f"{self.counted(noun)}, so results on them are too optimistic; the first: {named}"

    def counted(self, noun: str) -> str:
        """Return the number of samples, in a clause that names no file."""
        name = "validation" if self.split == "val" else self.split
        return f"{self.count} of {self.total} {name} {noun} are in training too"


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """The data set of a study.

    Attributes:
        counts: split -> class -> number of samples.
        fingerprint: of contents, labels and splits.
        skipped: files left out under ``on_error: skip``, with the reason.
        sizes: split -> number of samples; empty in studies of an older version, which had one class a sample.
        inputs, outputs: the kind of input (``images``, ``tokens``), and of ``classes`` (``classes``, ``numbers``).
        image_statistics: brightness, contrast, saturation, detail, side; empty if never measured.
        noun: plural name of the samples: ``images``, ``texts``, ``sentences``.
        overlaps: samples that are also in training; empty in studies of older versions, which did not check.
    """

    name: str
    classes: tuple[str, ...]
    counts: Mapping[str, Mapping[str, int]]
    fingerprint: str
    skipped: tuple[str, ...] = ()
    sizes: Mapping[str, int] = field(default_factory=dict)
    inputs: str = "images"
    outputs: str = "classes"
    image_statistics: Mapping[str, float] = field(default_factory=dict)
    noun: str = "images"
    overlaps: tuple[Overlap, ...] = ()

    @property
    def leak(self) -> str:
        """What to say where validation samples are also in training; empty where none are."""
        return next((overlap.words(self.noun) for overlap in self.overlaps if overlap.split == "val"), "")

    def samples(self) -> dict[str, int]:
        """Return the number of samples of each split."""
        return dict(self.sizes) or {split: sum(by_class.values()) for split, by_class in self.counts.items()}


@dataclass(frozen=True)  # no slots: of ten thousand trials, a page asks for the ranking and the best dozens of times
class StudyRecord:
    """One study with its trials, as the store holds it.

    Attributes:
        spec: the study file as validated data (JSON); ``spec_text`` as the user wrote it.
        identity: the part of the spec that makes two studies the same search (data, backbone, space,
            budget, objective), JSON; a study is continued only when it is equal.
        metric: name of the objective; ``maximize`` its direction.
        target: the number of trials that the study is to reach.
        trials: in order of number.
        repeats: its candidates retrained with fresh seeds; ``refits``: trained for use on demand; ``finals``: by a run
            at its end.
        parent: the search whose trainings this study holds; empty for a search.
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

    @cached_property
    def ranking(self) -> tuple[TrialRecord, ...]:
        """Complete trials with a value that break no constraint, the best first by ``rank_key``."""
        return tuple(sorted(self._done(), key=self._rank_key()))

    @cached_property
    def best(self) -> TrialRecord | None:
        """The winner, ``preferred_first`` of those retrained, by their means, or else of all."""
        if chosen := self.contenders:
            return chosen[0].trial
        ranked = [Contender(trial, 1, trial.value or 0.0, calibrated_loss(trial.extras)) for trial in self.ranking]
        return next((one.trial for one in self._chosen(ranked)), None)

    @property
    def ahead(self) -> TrialRecord | None:
        """The trial that validation puts before the winner, by no more than it can tell; None without one."""
        best, ranked = self.best, self.ranking
        return ranked[0] if best is not None and not self.contenders and ranked[0] is not best else None

    @cached_property
    def contenders(self) -> tuple[Contender, ...]:
        """The search's best trial and the others that were retrained with it, the best mean first.

        Ties are broken as by ``rank_key``: fewest parameters first. Empty before the search's best has been retrained,
        and in studies of several objectives, whose result is the front.
        """
        if not self.repeats or len(self.objectives) > 1:
            return ()
        ranked = self.ranking
        values = means(self.repeats, {trial.number: trial.value or 0.0 for trial in ranked})
        of_search = {trial.number: calibrated_loss(trial.extras) for trial in ranked}
        losses = means(self.repeats, of_search, attrgetter("calibrated_loss"))
        known = ((trial, values[trial.number], losses.get(trial.number)) for trial in ranked if trial.number in values)
        among = [Contender(trial, *found, loss[1] if loss else None) for trial, found, loss in known]
        wanted = self.objectives
        among.sort(key=lambda one: rank_key(wanted, one.mean, {}, one.trial.size, one.trial.number))
        return tuple(self._chosen(among))

    @property
    def tied(self) -> tuple[TrialRecord, ...]:
        """The trials that reach the best one's value, by number."""
        best = self.best
        return tuple(trial for trial in self._done() if best and trial.value == best.value and trial is not best)

    def _chosen(self, ranked: Sequence[Contender]) -> Sequence[Contender]:
        samples = self.dataset.samples().get("val", 0)
        return ranked if len(self.objectives) > 1 else preferred_first(ranked, self.metric, samples)

    def _rank_key(self) -> Callable[[TrialRecord], tuple[float, ...]]:
        wanted = self.objectives
        return lambda trial: rank_key(wanted, trial.value, trial.objectives, trial.size, trial.number)

    def _done(self) -> Iterator[TrialRecord]:
        for trial in self.trials:
            if trial.state is TrialState.COMPLETE and trial.value is not None and not trial.broken:
                yield trial

    @cached_property
    def objectives(self) -> tuple[Objective, ...]:
        """All objectives, ``metric`` first."""
        stated = ((self.spec or {}).get("study") or {}).get("objectives") or ()
        objectives = tuple(Objective(one["name"], one["direction"] == "maximize") for one in stated)
        return objectives or (Objective(self.metric, self.maximize),)

    @cached_property
    def front(self) -> tuple[TrialRecord, ...]:
        """Complete trials that no other one dominates, by the first objective, the best first."""
        wanted = self.objectives
        names = [one.name for one in wanted[1:]]
        ranked = [trial for trial in self.ranking if all(name in trial.objectives for name in names)]
        points = [(trial.value or 0.0, *(trial.objectives[name] for name in names)) for trial in ranked]
        places = pareto.front(points, [one.maximize for one in wanted], [one.tolerance for one in wanted])
        return tuple(ranked[index] for index in places)

    @cached_property
    def baseline(self) -> TrialRecord | None:
        return next((trial for trial in self.trials if trial.is_baseline), None)
