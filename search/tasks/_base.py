"""The interface of tasks: data formats, inputs and targets, head, loss and metrics, under the same names in all."""

from __future__ import annotations

import copy
import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar, Self

import torch
from torch import Tensor, nn

from search.data.augment import Augmentation
from search.data.cache import Frame
from search.data.image_loader import Request, image_batches
from search.data.loader import Loader
from search.data.sample import Dataset, Sample, Split
from search.data.targets import Targets
from search.data.transfer import fetched
from search.errors import UserError
from search.records.study import Evaluation, Json
from search.tasks import _bootstrap
from search.tasks._linear_probe import Solved
from search.tasks._prediction import InputInfo, OutputDifference, Prediction, PredictOptions, ScoredLabel
from spaces.backbones._base import Backbone, Preprocessing, Pretrained
from spaces.heads import Features, HeadChoice


class Evaluator(ABC):
    """Collects one validation pass on the device; no host synchronisation until ``compute``."""

    @abstractmethod
    def update(self, outputs: Any, targets: Any) -> None:
        """Add a batch: the head's outputs in eval mode, and their targets.

        Tensors of outputs are float32; other kinds come unchanged, in pieces if memory is short.
        """

    @abstractmethod
    def compute(self) -> Mapping[str, float]:
        """Return every metric of the task by name, including ``loss`` if it has one in validation."""

    @abstractmethod
    def evaluation(self) -> Evaluation:
        """Return results per class or number, and samples worth looking at."""

    @property
    def samples(self) -> int:
        """Number of validation samples, if ``resampled`` can redraw them; 0 by default."""
        return 0

    def resampled(self, metric: str, weights: Tensor) -> Tensor:
        """Return ``metric`` ``(R,)`` as ``compute`` would had sample n occurred ``weights[r, n]`` times.

        Args:
            weights: ``(R, samples)`` float64 on the CPU, whole numbers.
        """
        raise NotImplementedError(f"{type(self).__name__} does not resample")

    def judged(self, metric: str) -> Evaluation:
        """Return ``evaluation`` with bootstrap replicates of ``metric``, the study's objective, if there are any."""
        if self.samples < 2:
            return self.evaluation()
        values = torch.cat([self.resampled(metric, rows) for rows in _bootstrap.weights(self.samples)])
        known = [float(f"{value:.6g}") for value in values.tolist()]
        usable = known if all(map(math.isfinite, known)) else []
        return replace(self.evaluation(), resampled=tuple(usable))


class StoredOutputs(Evaluator):
    """An evaluator that keeps all outputs and targets ``(N, width)`` on the device and measures them at the end."""

    def __init__(self, width: int) -> None:
        self._width = width
        self._outputs: list[Tensor] = []
        self._targets: list[Tensor] = []
        self._whole: tuple[Tensor, Tensor] | None = None

    def update(self, outputs: Tensor, targets: Tensor) -> None:
        self._outputs.append(outputs)
        self._targets.append(targets)
        self._whole = None

    @property
    def samples(self) -> int:
        return sum(map(len, self._targets))

    def _all(self) -> tuple[Tensor, Tensor]:
        """Return outputs and targets in float64 on the CPU."""
        if not self._outputs:
            empty = torch.zeros(0, self._width, dtype=torch.float64)
            return empty, empty
        if self._whole is None:
            kept = fetched({"outputs": torch.cat(self._outputs), "targets": torch.cat(self._targets)})
            self._whole = kept["outputs"].double(), kept["targets"].double()
        return self._whole


class Task(ABC):
    """What a study's networks learn to predict. Each file of this package ends with ``task = ...()``.

    The registry holds one of each; ``bind`` returns a study's own, with its options and facts of its data.

    Class attributes:
        name: the file's name, the value of ``task:`` in a study file and the key of the task's options there.
        formats: names of the data formats it accepts; ``data: PATH`` means the first, unless the path's extension is
            among another's ``suffixes``.
        reads: the kind of its inputs, as in ``Backbone.reads``: ``images`` or ``tokens``.
        noun: the word for its inputs, in the plural: ``images``, ``texts``.
        outputs: what ``Dataset.classes`` names: ``classes``, or predicted ``numbers``.
        options: a frozen dataclass with a default for every field, which validates itself and forbids unknown keys.
            None: there are none.
        directions: metric name -> True if larger is better; the first one is the default objective.
        mixes: whether inputs may be mixed with one another; ``loss`` then takes class probabilities.
        leaves_out: names of decisions that make no sense for it, each with the reason shown to users.
        stacks: whether heads made of plain layers may be trained together: ``loss`` runs under ``torch.func.vmap``.
        hub_task: its name on model hubs, ``image-classification``; empty if they have none.
        averages_views: whether its outputs are logits of one class an image, whose probabilities may be averaged over
            views of that image.
        quantises: whether its networks can be converted to int8: they take images and return one tensor.
        predicts: kind of a finished model's predictions: ``answers`` (classes or numbers), ``boxes``, ``masks`` or
            ``tags``.
        means: what a network's outputs are, for its model card.
        output_names: of the tensors that a file with the network's graph returns; ``varying`` the axes of its input
            whose length is free, beginning with the first.
    """

    name: ClassVar[str]
    formats: ClassVar[tuple[str, ...]]
    directions: ClassVar[Mapping[str, bool]]
    reads: ClassVar[str] = "images"
    noun: ClassVar[str] = "images"
    outputs: ClassVar[str] = "classes"
    options: ClassVar[type[Any] | None] = None
    mixes: ClassVar[bool] = False
    hub_task: ClassVar[str] = ""
    leaves_out: ClassVar[Mapping[str, str]] = {}
    stacks: ClassVar[bool] = False
    averages_views: ClassVar[bool] = False
    quantises: ClassVar[bool] = False
    predicts: ClassVar[str] = "answers"
    means: ClassVar[str] = "logits, one per class"
    output_names: ClassVar[tuple[str, ...]] = ("outputs",)
    varying: ClassVar[tuple[str, ...]] = ("batch",)
    chosen: Any = None
    """What the study file says under the task's name, an instance of ``options``; set by ``bind``."""

    @property
    def mirrors(self) -> bool:
        """Whether outputs for an image and for its mirror image may be averaged: they say nothing of places in it."""
        return self.reads == "images" and self.predicts == "answers"

    def bind(self, chosen: Any, dataset: Dataset, pretrained: Pretrained) -> Self:
        """Return the task of one study. A task that needs facts of its data (means, anchors, a tokenizer) overrides
        this, calls it first, and sets them on what it returns.

        Raises:
            UserError: the options do not fit the data or the backbone; one line.
        """
        bound = copy.copy(self)
        bound.chosen = chosen
        return bound

    def facts(self) -> Mapping[str, Json]:
        """Return those findings of ``bind`` that prediction needs, as plain data; stored in checkpoints."""
        return {}

    def advice(self) -> Sequence[str]:
        """Return advice on the study's decisions derived from its data, one line each; ``ftsearch plan`` shows it."""
        return ()

    # Data

    def input_size(self, chosen: Any, asked: tuple[int, int] | None, backbone: Backbone) -> tuple[int, int]:
        """Return height and width of the network's input; ``(1, T)`` for texts of T tokens."""
        return asked or backbone.usual_size

    def frame(self, split: Split, size: tuple[int, int], expected: Preprocessing) -> Frame:
        """Return how images of a split are decoded for a network that takes ``size`` (height, width).

        By default as image classification does: the whole image for training, its centre for validation.
        """
        resize = (expected.resize_for(size[0]), expected.resize_for(size[1]))
        return Frame(size, resize, expected.interpolation, whole=split is Split.TRAIN)

    def augmentation(self, preset: Augmentation) -> Augmentation:
        """Return as much of the study's augmentation as suits this task."""
        return preset

    def targets(self, samples: Sequence[Sample], frame: Frame) -> Targets:
        """Return the targets of ``samples`` as one batch, on the CPU; class indices ``(N,)`` by default.

        Positions in the image are given in coordinates of the decoded image (``frame.shown`` tells which part of the
        original that is); ``Rows.follow`` applies crops and flips to them.
        """
        return torch.tensor([sample.target for sample in samples], dtype=torch.int64)

    def batches(self, request: Request) -> Loader:
        """Return the batches of a split; by default decoded images with ``targets``, augmented on the device."""
        frame = self.frame(request.split, request.size, request.expected)
        return image_batches(request, frame, self.augmentation(request.augmentation), self.targets)

    def kinds(self, target: Any) -> Sequence[int]:
        """Return the indices of a sample's classes, for counting; the target itself by default."""
        return (target,)

    # Network and results

    @abstractmethod
    def head(
        self, features: Features, classes: int, choice: HeadChoice, decided: Mapping[str, Any] | None = None
    ) -> nn.Module:
        """Return a head that turns ``features`` into the task's outputs for ``classes`` classes (or numbers).

        ``choice`` is the value of the decision ``head``; ``decided`` holds the values of all the candidate's decisions
        by name, including those that only this task has.
        """

    def head_for(self, classes: int) -> Callable[[Features, HeadChoice, Mapping[str, Any]], nn.Module]:
        """Return ``head`` for that many classes (or numbers), in the form that networks are built with."""

        def made(features: Features, choice: HeadChoice, decided: Mapping[str, Any]) -> nn.Module:
            return self.head(features, classes, choice, decided)

        return made

    @abstractmethod
    def loss(self, outputs: Any, targets: Any, label_smoothing: float = 0.0) -> Tensor:
        """Return the mean loss of a batch from the head's outputs in training mode.

        After mixup, class indices ``(N,)`` are class probabilities ``(N, classes)``.
        """

    def solve(self, features: Tensor, targets: Any, outputs: int, weights: Tensor | None = None) -> Solved | None:
        """Return the best weights of the head's last linear layer for its inputs, ``features`` ``(N, D)``.

        None, the default, if it is not a single layer that can be solved. The decision ``head_start`` lists the tasks
        whose heads start like this.

        Args:
            targets: of the N samples, as returned by ``targets``.
            outputs: of the layer.
            weights: weight of a sample of each class ``(classes,)``; None: all equal.
        """
        return None

    @abstractmethod
    def evaluator(self, classes: tuple[str, ...], device: Any) -> Evaluator:
        """Return a new evaluator for one validation pass."""

    # In use

    def restore(self, chosen: Any, facts: Mapping[str, Json]) -> Self:
        """Return the task of a finished model, without its data: ``bind``'s counterpart.

        ``facts`` is what ``facts`` returned when the model was trained. A task that needs some of it to make its head
        (beyond what is saved with the weights) overrides this, calls it first, and sets it on what it returns.
        """
        restored = copy.copy(self)
        restored.chosen = chosen
        return restored

    def keep(self, folder: Path) -> None:  # noqa: B027  # most tasks have nothing to keep
        """Write to ``folder`` what prediction needs besides weights and facts; nothing by default."""

    def fetch(self, folder: Path) -> Self:
        """Return the task with what ``keep``, its counterpart, wrote to ``folder``.

        Raises:
            UserError: it cannot be read.
        """
        return self

    def graph(self, network: nn.Module) -> nn.Module:
        """Return a module that computes the same as ``network`` on plain tensors: one in, ``output_names`` out.

        ``network`` is an ``InferenceNetwork`` on the CPU in eval mode, and is left unchanged. By default it is returned
        itself.

        Raises:
            RunError: there is no such module.
        """
        return network

    def read(self, outputs: Any) -> Any:
        """Return outputs of ``network`` or ``graph`` as evaluator and ``predicted`` take them: on the CPU, in float32.

        Raises:
            UserError: they have another form.
        """
        if not isinstance(outputs, Tensor):
            raise UserError(
                f"expected one tensor from the network, got {type(outputs).__name__}: the task {self.name} needs `read`"
            )
        return outputs.float().cpu()

    def predicted(
        self, outputs: Any, classes: tuple[str, ...], given: Sequence[InputInfo], wanted: PredictOptions
    ) -> list[Prediction]:
        """Return the prediction in ``outputs``, as ``read`` returns them, for each of the inputs ``given``.

        Raises:
            UserError: this task's outputs cannot be put into words.
        """
        most = wanted.most or 5
        rows = self.answers(outputs, classes, most, wanted.temperature)
        least = wanted.threshold
        if least is not None:
            rows = [tuple(answer for answer in row if answer.score >= least) for row in rows]
        return [Prediction(answers=row) for row in rows]

    def difference(self, found: Any, expected: Any, classes: tuple[str, ...]) -> OutputDifference:
        """Return how far ``found`` is from ``expected``: outputs for the same inputs, as ``read`` returns them."""
        rows = [self.answers(outputs, classes, 1) for outputs in (found, expected)]
        same = sum(one[0].label == other[0].label for one, other in zip(*rows, strict=True))
        return OutputDifference(float((found - expected).abs().max()), float(expected.abs().max()), same)

    def answers(
        self, outputs: Any, classes: tuple[str, ...], most: int, temperature: float = 1.0
    ) -> list[tuple[ScoredLabel, ...]]:
        """Return at most ``most`` answers in a network's ``outputs`` for each input, the most confident first.

        Args:
            temperature: divides outputs before they become probabilities.

        Raises:
            UserError: this task's outputs cannot be put into words.
        """
        raise UserError(f"the task {self.name} does not say how its outputs are read; its file needs `answers`")
