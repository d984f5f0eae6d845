"""What a search leaves behind: the language between training, store and report. No torch, no SQL, no Optuna."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from search.repeated import Refit, Repeat
from search.states import TrialState, Verdict

__all__ = [
    "Box",
    "ClassResult",
    "DatasetRecord",
    "EpochRecord",
    "Evaluation",
    "Failure",
    "Json",
    "Measured",
    "Mistake",
    "PastTrial",
    "Picture",
    "Refit",
    "Repeat",
    "Size",
    "StudyRecord",
    "TrialRecord",
    "TrialState",
    "UnitRecord",
    "Verdict",
]
Json = Any


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
class ClassResult:
    """Validation results of one class at the best epoch."""

    name: str
    precision: float
    recall: float
    f1: float
    support: int


@dataclass(frozen=True, slots=True)
class Measured:
    """Validation results of one class, or of one predicted number, at the best epoch, in a task's own measures.

    Attributes:
        values: measure -> value (``average_precision``, ``iou``, ``rmse`` ...), the most telling one first;
            without those that are not defined for it.
        support: validation samples (or boxes, or pixels) it was measured on.
    """

    name: str
    values: Mapping[str, float]
    support: int


@dataclass(frozen=True, slots=True)
class Box:
    """A box in a picture; all four sides in shares of the original image, the origin at the top left.

    Attributes:
        score: confidence of a predicted one; None for a true one.
    """

    left: float
    top: float
    right: float
    bottom: float
    label: str
    score: float | None = None


@dataclass(frozen=True, slots=True)
class Picture:
    """A validation sample worth looking at, with what was true and what was predicted.

    Attributes:
        place: in the validation split, counted from 0.
        caption: one line: what is to be seen (``true 3.1, predicted 5.0``).
        boxes: true ones, and predicted ones with a score.
        true_mask, predicted_mask: PNG in base64, one grey value a class, over the part ``shown`` of the image;
            empty where there is none.
        shown: that part, as left, top, right, bottom in shares of the original image.
        sample: what the data set calls it: a file's path where there is a file.
    """

    place: int
    caption: str
    boxes: tuple[Box, ...] = ()
    true_mask: str = ""
    predicted_mask: str = ""
    shown: tuple[float, float, float, float] = (0.0, 0.0, 1.0, 1.0)
    sample: str = ""

    @classmethod
    def from_json(cls, data: Json) -> Picture:
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        boxes = tuple(Box(**box) for box in data["boxes"])
        return cls(**{**data, "boxes": boxes, "shown": tuple(data["shown"])})


@dataclass(frozen=True, slots=True)
class Mistake:
    """A validation sample that was taken for another class.

    Attributes:
        place: in the validation split, counted from 0.
        true, predicted: names of classes; ``confidence`` is the probability given to ``predicted``.
        sample: what the data set calls it: a file's path where there is a file.
    """

    place: int
    true: str
    predicted: str
    confidence: float
    sample: str = ""


@dataclass(frozen=True, slots=True)
class Evaluation:
    """Validation in detail at a trial's best epoch.

    Attributes:
        classes: one result a class, in the data set's order.
        confusion: rows are true classes, columns predicted ones; counts.
            Empty where a sample does not have exactly one class.
        mistakes: the most confident ones, the surest first.
        measured: results per class or number in the task's own measures.
        pictures: samples worth looking at, the worst first.
    """

    classes: tuple[ClassResult, ...] = ()
    confusion: tuple[tuple[int, ...], ...] = ()
    mistakes: tuple[Mistake, ...] = ()
    measured: tuple[Measured, ...] = ()
    pictures: tuple[Picture, ...] = ()

    @classmethod
    def from_json(cls, data: Json) -> Evaluation:
        """Read what ``dataclasses.asdict`` and JSON made of one."""
        classes = tuple(ClassResult(**result) for result in data["classes"])
        mistakes = tuple(Mistake(**mistake) for mistake in data.get("mistakes", ()))
        measured = tuple(Measured(**result) for result in data.get("measured", ()))
        pictures = tuple(Picture.from_json(picture) for picture in data.get("pictures", ()))
        return cls(classes, tuple(tuple(row) for row in data["confusion"]), mistakes, measured, pictures)

    def named(self, samples: Sequence[str]) -> Evaluation:
        """Return the same with ``samples``, the names of the validation split in order, put to what it names."""
        known = (replace(mistake, sample=samples[mistake.place]) for mistake in self.mistakes)
        pictures = (replace(picture, sample=samples[picture.place]) for picture in self.pictures)
        return replace(self, mistakes=tuple(known), pictures=tuple(pictures))


@dataclass(frozen=True, slots=True)
class Failure:
    """Why a trial failed: ``kind`` is one word for grouping (``nan``, ``memory``, ``disk``, ``error``)."""

    kind: str
    message: str
    traceback: str = ""


@dataclass(frozen=True, slots=True)
class Size:
    """What a candidate costs to hold and to run.

    Attributes:
        parameters: all of them, head included.
        trained: those that learn.
        flops: multiply-adds times two of one forward pass of one input.
        unit_states: one word per unit of the pretrained chain, in order:
            ``frozen``, ``trained``, ``edited``, ``skipped`` or ``dropped``.
    """

    parameters: int
    trained: int
    flops: int
    unit_states: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class TrialRecord:
    """Everything the store knows of one trial.

    Attributes:
        number: counted from 0 within the study; 0 is the baseline.
        value: the objective at the best epoch; None until there is one.
        params: what the sampler chose, by parameter name; ``distributions`` its ranges in Optuna's JSON.
        candidate: ``Candidate.to_json()``.
        words: the candidate in one line for people.
        ended: why it ended, one line (``ran all 5 epochs``, ``pruned after epoch 2: ...``).
        seconds: wall-clock of all attempts, building included.
        extras: further facts worth keeping, JSON (cache decision, device, batch that fitted ...).
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


@dataclass(frozen=True, slots=True)
class PastTrial:
    """What sampling, pruning and cost prediction learn from a trial: the light part of a TrialRecord.

    Attributes:
        params: empty as long as the trial has not been sampled.
        last_epoch: number and objective of its last epoch so far; None before the first.
        fingerprint: of its candidate; empty while there is none.
        seconds: of all attempts that have ended; of the epochs so far while it runs.
        cost: ``CostFeatures`` as JSON, from its ``extras``; empty while the network has not been built.
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


@dataclass(frozen=True, slots=True)
class UnitRecord:
    """One unit of the pretrained chain, for figures and tables."""

    name: str
    parameters: int
    flops: int
    reduction: int
    """Input height over output height."""


@dataclass(frozen=True, slots=True)
class DatasetRecord:
    """The data set as found.

    Attributes:
        counts: split -> class -> number of samples.
        fingerprint: of contents, labels and splits.
        skipped: files left out under ``on_error: skip``, with the reason.
        sizes: split -> number of samples; empty in studies of an older version, which had one class a sample.
        inputs, outputs: what goes in (``images``, ``tokens``) and what ``classes`` are (``classes``, ``numbers``).
        looks: brightness, contrast, saturation, detail, side (``search.data.looks``); empty where nobody has looked.
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
        target: how many trials the study shall have.
        trials: in order of number.
        repeats: its candidates trained again with fresh seeds; ``refits``: trained for use.
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
    parent: str = ""

    def is_better(self, value: float, than: float) -> bool:
        return value > than if self.maximize else value < than

    @property
    def ranking(self) -> tuple[TrialRecord, ...]:
        """Complete trials with a value, the best first; ties go to the smaller number."""
        done = [trial for trial in self.trials if trial.state is TrialState.COMPLETE and trial.value is not None]
        sign = -1.0 if self.maximize else 1.0
        return tuple(sorted(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number)))

    @property
    def best(self) -> TrialRecord | None:
        done = (trial for trial in self.trials if trial.state is TrialState.COMPLETE and trial.value is not None)
        sign = -1.0 if self.maximize else 1.0
        return min(done, key=lambda trial: (sign * (trial.value or 0.0), trial.number), default=None)

    @property
    def baseline(self) -> TrialRecord | None:
        return next((trial for trial in self.trials if trial.is_baseline), None)
