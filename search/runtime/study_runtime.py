"""What the trials of a study share in one process: data, backbone, chain, space."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from functools import partial
from itertools import islice
from statistics import median
from typing import Any

import torch
from torch import nn

from search.data import augment, cache
from search.data.assembly import cache_folder, decoded_folder
from search.data.formats import formats
from search.data.given_paths import given_path
from search.data.image_loader import Request
from search.data.loader import Loader, Subset, Views
from search.data.sample import Dataset, Source, Split
from search.errors import UserError
from search.records.study import EpochRecord, Json, Size, Verdict
from search.runtime.versions import versions
from search.spec.study_spec import StudySpec, plain
from search.tasks import tasks
from search.tasks._base import Evaluator, Task
from search.tasks._linear_probe import Solved
from search.training import memory_budget
from search.training.checkpoint import Checkpoint, Rolling
from search.training.epoch import Step, validate
from search.training.feature_store import FeatureStore
from search.training.fit import TrainingPlan, TrainingResult
from search.training.frozen_units import FrozenUnits
from search.training.head_start import HeadStart, in_order
from search.training.optimizers import optimizing, penalising
from search.training.out_of_memory import MicroBatches
from search.training.precision import Precision, choose, device_of
from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.chains import probe
from spaces.chains.chain import Chain
from spaces.decisions._base import AS_STUDY
from spaces.decisions.batch_norm import keeps_statistics
from spaces.decisions.head_start import PROBE, is_linear_probe
from spaces.decisions.mixing import Mixing
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.weight_average import MOVING
from spaces.heads import last_layer
from spaces.networks import build as building
from spaces.networks.space import Space

SOME = 128
"""Number of training samples that give batch norms their statistics and show whether averaged weights work at all."""
_EVALUATION_FACTOR = 4
"""Factor by which validation batches are larger than training batches: they need no backward pass."""


@dataclass(frozen=True, slots=True)
class _Recipe:
    """The part of a candidate's recipe that determines batches."""

    batch_size: int
    augmentation: augment.Augmentation
    mix: augment.Mix | None


@dataclass(frozen=True, slots=True)
class StudyRuntime:
    """One study, ready to run trials on one device.

    Attributes:
        store: outputs of frozen prefixes; None computes them every time.
        progress: called with the progress of decoding, ``(what, done, total)``.
        decoded: images of every split and input size requested so far; kept for all trials.
        solved: solved last layers of heads, keyed by what they were solved on; likewise.
    """

    spec: StudySpec
    task: Task
    dataset: Dataset
    pretrained: Pretrained
    space: Space
    precision: Precision
    input_size: tuple[int, int]
    store: FeatureStore | None = None
    progress: Callable[[str, int, int], None] = lambda *_: None
    decoded: dict[tuple[Split, tuple[int, int]], Any] = field(default_factory=dict, repr=False)
    solved: dict[tuple[str, str], tuple[Solved, float]] = field(default_factory=dict, repr=False)

    def of(self, candidate: Candidate) -> StudyRuntime:
        """Return the runtime of the candidate's backbone: this one, unless the study has several."""
        return self

    def build(self, candidate: Candidate, seed: int) -> building.Network:
        """Return the candidate's network on the runtime's device, its head drawn from ``seed``."""
        head = self.task.head_for(len(self.dataset.classes))
        network = building.build(self.space.apply(candidate), self.space.values(candidate), head, seed)
        return self.precision.place_network(network.to(self.precision.device))

    def head_of(self, candidate: Candidate, chain: Chain, *, on: str | torch.device) -> nn.Module:
        """Return the head of ``candidate`` alone, on the device ``on``; on ``meta`` it has shapes and no memory.

        Args:
            chain: the candidate's, ``space.apply``.
        """
        head = self.task.head_for(len(self.dataset.classes))
        with torch.device(on):
            made = building.head_of(chain, self.space.values(candidate), head)
        return made.to(on)  # facts of the data, such as the mean of targets, are on the CPU

    def size(self, network: building.Network) -> Size:
        """Return parameters, FLOPs and unit states of ``network``."""
        measured = building.size(network)
        return Size(measured.parameters, measured.trained, measured.flops, measured.unit_states)

    def epochs(self, candidate: Candidate) -> int:
        """Return the number of epochs ``candidate`` is trained for unless it ends early."""
        if self.is_linear_probe(candidate):
            return 1
        share: float = self.space.values(candidate)["epochs"]
        learning = building.learning_share(self.space.apply(candidate))
        return self.spec.training.epochs_for(len(self.dataset.of(Split.TRAIN)), share, learning)

    def most_epochs(self) -> int:
        """Return the largest number of epochs of a trial."""
        return self.spec.training.most_epochs(len(self.dataset.of(Split.TRAIN)))

    def views(self, epochs: int) -> int:
        """Return how many fixed augmented views of every image a training of ``epochs`` sees."""
        return self.spec.training.views_for(self.spec.search.target, self.most_epochs(), epochs)

    def is_linear_probe(self, candidate: Candidate) -> bool:
        """Return whether solving the last layer is the whole training of ``candidate``."""
        values, chain = self.space.values(candidate), self.space.apply(candidate)
        return is_linear_probe(values, chain) and last_layer(self.head_of(candidate, chain, on="meta")) is not None

    def optimizer(self, candidate: Candidate) -> Optimizer:
        """Return the candidate's optimiser settings; the head's rate is 0 if nothing but a solved layer learns."""
        recipe: Optimizer = self.space.values(candidate)["optimizer"]
        return replace(recipe, lr_head=0.0) if self.is_linear_probe(candidate) else recipe

    def batches(self, split: Split, seed: int = 0, candidate: Candidate | None = None) -> Loader:
        """Return the batches of a split: shuffled and augmented for training, else plain.

        Size, batch size, augmentation and mixing are those of ``candidate``, else those of the study file.
        """
        return self._batches(split, seed, candidate, self._recipe(candidate))

    def in_order(self, candidate: Candidate) -> Loader:
        """Return the training samples prepared as for validation, in order; a subset if there are very many."""
        size = self._recipe(candidate).batch_size * _EVALUATION_FACTOR
        return in_order(self._batches(Split.TRAIN, 0, candidate, _Recipe(size, augment.Augmentation(), None)))

    def some_in_order(self, candidate: Candidate) -> Loader:
        """Return ``SOME`` training samples prepared as for validation, in a fixed random order."""
        every = self.in_order(candidate)
        chosen = torch.randperm(every.count, generator=torch.Generator().manual_seed(0))
        return Subset(every, chosen[:SOME])  # in random order: a batch of one class has different statistics

    def _batches(self, split: Split, seed: int, candidate: Candidate | None, recipe: _Recipe) -> Loader:
        return self.task.batches(
            Request(
                dataset=self.dataset,
                split=split,
                size=candidate.structure.input_size if candidate else self.input_size,
                expected=self.pretrained.preprocessing,
                batch_size=recipe.batch_size * (1 if split is Split.TRAIN else _EVALUATION_FACTOR),
                device=self.precision.device,
                seed=seed,
                augmentation=recipe.augmentation,
                mix=recipe.mix,
                folder=decoded_folder(enabled=self.spec.training.cache),
                kept=self.decoded,
                progress=self.progress,
            )
        )

    def validation_loader(self, candidate: Candidate, dataset: Dataset | None = None) -> Loader:
        """Return the validation samples for ``candidate`` on the CPU, as an exported model receives them.

        Args:
            dataset: another data set in place of the study's, prepared in the same way.
        """
        return self.task.batches(
            Request(
                dataset=dataset or self.dataset,
                split=Split.VAL,
                size=candidate.structure.input_size,
                expected=self.pretrained.preprocessing,
                folder=decoded_folder(enabled=self.spec.training.cache),
            )
        )

    def _recipe(self, candidate: Candidate | None) -> _Recipe:
        options = self.spec.training
        if candidate is None:
            return _Recipe(options.batch_size, augment.preset(options.augmentation, flip=options.flip), None)
        values = self.space.values(candidate)
        strength = options.augmentation if values["augmentation"] == AS_STUDY else values["augmentation"]
        mixing: Mixing = values["mixing"]
        return _Recipe(
            values["batch_size"] or options.batch_size,
            augment.preset(strength, flip=options.flip),
            None if mixing.kind == "none" else augment.Mix(mixing.kind, mixing.alpha),
        )

    def evaluated(self, network: nn.Module, samples: Loader, micro_batch: int | None = None) -> Evaluator:
        """Return an evaluator filled with outputs of ``network`` for ``samples``; ``micro_batch`` fit in memory."""
        evaluator = self.task.evaluator(self.dataset.classes, self.precision.device)
        return validate(network, samples.epoch(1), evaluator, self.precision, MicroBatches(micro_batch))

    def inputs(self, split: Split) -> tuple[Source, ...]:
        """Return the inputs of a split's samples, in the order of its batches without shuffling."""
        return tuple(sample.input for sample in self.dataset.of(split))

    def decode(self) -> None:
        """Decode training and validation images into the machine's cache, for other processes to find."""
        for split in (Split.TRAIN, Split.VAL):
            self.batches(split)

    def frame(self, split: Split, size: tuple[int, int]) -> cache.Frame:
        """Return how images of a split are decoded for a network that takes ``size`` (height, width)."""
        return self.task.frame(split, size, self.pretrained.preprocessing)

    def plan(
        self,
        candidate: Candidate,
        seed: int,
        on_epoch: Callable[[EpochRecord], Verdict],
        leave: Callable[[], bool],
        folder: Rolling | None,
        network: building.Network | None = None,
    ) -> TrainingPlan:
        """Return how ``candidate`` is trained; with its ``network``, frozen leading units are run only once.

        ``network`` is then given the output of its prefix, for a fixed set of views shared by all trials.
        """
        spec, values = self.spec, self.space.values(candidate)
        solved = self.is_linear_probe(candidate)
        train = self.in_order(candidate) if solved else self.batches(Split.TRAIN, seed, candidate)
        val = self.batches(Split.VAL, candidate=candidate)
        known = (self.pretrained.preprocessing.interpolation,)
        units = FrozenUnits(self.dataset.fingerprint, known, self.store, self.precision)
        probes = values.get("head_start") == PROBE
        moves = not solved and "batch_norm" in values and not keeps_statistics(values)
        start = HeadStart(self.in_order(candidate), units, self.task.solve, self.solved) if probes else None
        epochs = self.epochs(candidate)
        plan = TrainingPlan(
            task=self.task,
            classes=self.dataset.classes,
            train=train,
            val=val,
            epochs=epochs,
            patience=spec.training.patience_for(epochs),
            objective=spec.objective,
            maximize=spec.maximize,
            seed=seed,
            precision=replace(self.precision, scaler=choose(self.precision.device, spec.training.precision).scaler),
            optimize=optimizing(self.optimizer(candidate), values["penalty"]),
            steps_per_epoch=len(train),
            penalties=penalising(values["penalty"]),
            label_smoothing=0.0 if solved else values["label_smoothing"],
            start=start,
            plain=partial(self.some_in_order, candidate) if moves else None,
            is_solved=solved,
            averages=values["weight_average"] == MOVING and not solved,
            on_epoch=on_epoch,
            leave=leave,
            folder=folder,
            compiling=spec.training.compile,
            backbone=spec.backbone,
        )
        if network is None or not network.prefix_units:
            return plan
        return units.plan(plan, network, train, val, self._viewed(train, network, epochs, solved=solved))

    def _viewed(self, train: Loader, network: building.Network, epochs: int, *, solved: bool) -> str:
        """Give ``train`` its fixed views; return why the outputs of frozen units are not cached, empty if they are.

        Where they are, it is these that are mixed, in place of images.
        """
        if self.spec.training.prefix_cache == "off":
            return "switched off"
        if train.is_mixed:
            last = probe.describe(network.chain)[network.prefix_units - 1]
            train.mixes_features = not network.taps and train.can_mix(last.out_shape)
            if not train.mixes_features:
                return "mixed images are new in every step"
        if train.variation != "None" and not solved:
            train.views = Views(self.views(epochs) if train.is_random else 1, self.spec.search.seed)
        return ""

    def measure(self, candidate: Candidate, steps: int = 3) -> float:
        """Return the seconds of one training epoch of ``candidate``, estimated from the median of a few steps."""
        network = self.build(candidate, 0)
        plan = self.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
        moving = plan.optimize(network, plan.steps_per_epoch)
        step = Step(network, plan.loss, plan.penalties(network), *moving, plan.precision, MicroBatches())
        network.train()
        seconds = []
        for images, targets in islice(itertools.cycle(plan.train.epoch(1)), steps + 1):
            begin = time.perf_counter()
            step.run(images, targets)["task"].item()
            seconds.append(time.perf_counter() - begin)
        return median(seconds[1:]) * plan.steps_per_epoch

    def checkpoint(self, candidate: Candidate, network: building.Network, result: TrainingResult) -> Checkpoint:
        """Return the weights of the best epoch under the pretrained network's key names, with facts about them."""
        network.load_state_dict(result.weights)
        chosen = {"task_options": plain(self.task.chosen)} if self.task.options else {}
        learnt = {"task_facts": dict(self.task.facts())} if self.task.facts() else {}
        expected, size = self.pretrained.preprocessing, candidate.structure.input_size
        facts: dict[str, Json] = {
            "candidate": candidate.to_json(),
            "task": self.task.name,
            "classes": list(self.dataset.classes),
            "epoch": result.best_epoch,
            "metrics": dict(result.epochs[(result.best_epoch or 1) - 1].metrics),
            "preprocessing": {
                "size": list(size),
                "resize": list(self.frame(Split.VAL, size).resize),
                "mean": list(expected.mean),
                "std": list(expected.std),
                "interpolation": expected.interpolation,
            },
            "weights": {"name": self.pretrained.weights, "sha256": self.pretrained.checksum},
            "versions": dict(versions()),
            **chosen,
            **learnt,
        }
        return Checkpoint(network.original_state(), facts)


def open_runtime(spec: StudySpec, device: str = "auto", dataset: Dataset | None = None) -> StudyRuntime:
    """Return the runtime of a study, with its data checked unless given, weights fetched and decisions resolved.

    Raises:
        UserError, SpaceError: something the study file names is missing, broken or does not fit.
    """
    memory_budget.keep_memory()
    task = tasks()[spec.task]
    _check_decisions(spec, task)
    precision = choose(device_of(device), spec.training.precision)
    backbone = backbones.resolve(spec.backbone)
    if backbone.reads != task.reads:
        raise UserError(
            f"the task {task.name} reads {task.reads}, but {backbone.name} reads {backbone.reads}; choose another"
        )
    input_size = task.input_size(spec.task_options, spec.input_size, backbone)
    beside = given_path(spec.base, spec.weights)
    weights = str(beside) if beside.is_file() or "/" in spec.weights else spec.weights
    dataset = dataset or formats()[spec.data_format].load(spec.data, spec.base)
    pretrained = backbone.pretrained(weights, input_size, seed=spec.search.seed)
    for unit in pretrained.chain:
        unit.module.requires_grad_(False)
    task = task.bind(spec.task_options, dataset, pretrained)
    training = {"augmentation": spec.training.augmentation, "batch_size": spec.training.batch_size}
    space = Space(pretrained, spec.space, task.name, training)
    store = _store(spec, precision)
    return StudyRuntime(spec, task, dataset, pretrained, space, precision, input_size, store)


def _check_decisions(spec: StudySpec, task: Task) -> None:
    if "mixing" in spec.space and not task.mixes:
        raise UserError(f"space.mixing: inputs of the task {task.name} cannot be mixed; leave it out")
    for name in spec.space:
        if name in task.leaves_out:
            raise UserError(f"space.{name}: {task.leaves_out[name]}; leave it out for the task {task.name}")


def _store(spec: StudySpec, precision: Precision) -> FeatureStore | None:
    if spec.training.prefix_cache == "off":
        return None
    folder = cache_folder() / "features" if spec.training.cache else None
    layout = {"auto": None, "float32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}
    budgets = memory_budget.budgets(precision.device, folder)
    return FeatureStore(precision.device, folder, budgets, layout[spec.training.features])
