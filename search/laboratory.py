"""What all trials of a study share in one process: data, backbone, chain, space."""

from __future__ import annotations

import itertools
import platform
import time
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from importlib import metadata
from itertools import islice
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.optim.lr_scheduler import LRScheduler

from search import spec as specs
from search.data import augment, cache
from search.data.assembly import cache_folder
from search.data.batches import Batches
from search.data.sample import Dataset, Split
from search.records import DatasetRecord, EpochRecord, Json, Size, StudyRecord, UnitRecord, Verdict
from search.spec import StudySpec
from search.tasks._base import Task
from search.training.checkpoint import Checkpoint, Rolling
from search.training.epoch import Penalties, Step
from search.training.fit import Course, Outcome
from search.training.memory import MicroBatches
from search.training.optimizers import optimize
from search.training.precision import Precision, choose, device_of
from spaces import backbones, probe
from spaces import build as building
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty
from spaces.heads import Features, HeadChoice
from spaces.space import Space

PACKAGES = ("ftsearch", "torch", "torchvision", "optuna", "sqlalchemy", "numpy", "pillow")
_EVALUATION_FACTOR = 4
"""Validation batches are larger than training ones: they keep nothing for a backward pass."""


@dataclass(frozen=True, slots=True)
class Laboratory:
    """One study, ready to run trials on one device.

    Attributes:
        decoded: images of every split that has been asked for; kept for all trials.
    """

    spec: StudySpec
    task: Task
    dataset: Dataset
    pretrained: Pretrained
    space: Space
    precision: Precision
    input_size: tuple[int, int]
    decoded: dict[Split, cache.Pixels] = field(default_factory=dict, repr=False)

    def build(self, candidate: Candidate, seed: int) -> building.Network:
        """Return the candidate's network on the laboratory's device, its head drawn from ``seed``."""
        classes = len(self.dataset.classes)
        head = partial(_head, self.task, classes)
        return building.build(self.space.apply(candidate), self.space.values(candidate), head, seed).to(
            self.precision.device
        )

    def size(self, network: building.Network) -> Size:
        """Return what ``network`` costs to hold and to run."""
        found = building.size(network)
        return Size(found.parameters, found.trained, found.flops, found.unit_states)

    def batches(self, split: Split, seed: int = 0) -> Batches:
        """Return the batches of a split: shuffled and augmented for training, as they are otherwise."""
        training, options = split is Split.TRAIN, self.spec.training
        expected = self.pretrained.preprocessing
        frame = self.frame(split)
        if split not in self.decoded:
            samples = self.dataset.of(split)
            folder = cache_folder() / "decoded" if self.spec.training.cache else None
            self.decoded[split] = cache.decode(samples, frame, f"{self.dataset.fingerprint}-{split}", folder)
        return Batches(
            pixels=self.decoded[split],
            batch_size=options.batch_size if training else options.batch_size * _EVALUATION_FACTOR,
            device=self.precision.device,
            size=self.input_size,
            resize=frame.resize,
            mean=expected.mean,
            std=expected.std,
            seed=seed,
            augmentation=augment.preset(options.augmentation, flip=options.flip) if training else None,
            shuffle=training,
        )

    def decode(self) -> None:
        """Decode training and validation images into the machine's cache, for other processes to find."""
        for split in (Split.TRAIN, Split.VAL):
            self.batches(split)

    def frame(self, split: Split) -> cache.Frame:
        """Return how images of a split are decoded; without augmentation training sees what validation sees."""
        expected = self.pretrained.preprocessing
        height, width = self.input_size
        resize = (expected.resize_for(height), expected.resize_for(width))
        return cache.Frame(self.input_size, resize, expected.interpolation, whole=split is Split.TRAIN)

    def course(
        self,
        candidate: Candidate,
        seed: int,
        on_epoch: Callable[[EpochRecord], Verdict],
        leave: Callable[[], bool],
        folder: Rolling | None,
    ) -> Course:
        """Return how ``candidate`` is trained."""
        spec, values = self.spec, self.space.values(candidate)
        train = self.batches(Split.TRAIN, seed)
        return Course(
            task=self.task,
            classes=self.dataset.classes,
            train=train,
            val=self.batches(Split.VAL),
            epochs=spec.training.epochs,
            objective=spec.objective,
            maximize=spec.maximize,
            seed=seed,
            precision=replace(self.precision, scaler=choose(self.precision.device, spec.training.precision).scaler),
            optimize=partial(_optimize, values["optimizer"], values["penalty"]),
            steps_per_epoch=len(train),
            penalties=partial(_penalties, values["penalty"]),
            on_epoch=on_epoch,
            leave=leave,
            folder=folder,
        )

    def measure(self, candidate: Candidate, steps: int = 3) -> float:
        """Return the seconds of one training epoch of ``candidate``, estimated from the median of a few steps."""
        network = self.build(candidate, 0)
        course = self.course(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
        optimizer, schedule = course.optimize(network, course.steps_per_epoch)
        step = Step(
            network, self.task.loss, course.penalties(network), optimizer, schedule, course.precision, MicroBatches()
        )
        network.train()
        seconds = []
        for images, targets in islice(itertools.cycle(course.train.epoch(1)), steps + 1):
            begin = time.perf_counter()
            step.run(images, targets)["task"].item()
            seconds.append(time.perf_counter() - begin)
        return median(seconds[1:]) * course.steps_per_epoch

    def checkpoint(self, candidate: Candidate, network: building.Network, outcome: Outcome) -> Checkpoint:
        """Return the weights of the best epoch under the pretrained network's key names, and what they belong to."""
        network.load_state_dict(outcome.weights)
        expected = self.pretrained.preprocessing
        facts: dict[str, Json] = {
            "candidate": candidate.to_json(),
            "task": self.task.name,
            "classes": list(self.dataset.classes),
            "epoch": outcome.best_epoch,
            "metrics": dict(outcome.epochs[(outcome.best_epoch or 1) - 1].metrics),
            "preprocessing": {
                "size": list(self.input_size),
                "resize": list(self.frame(Split.VAL).resize),
                "mean": list(expected.mean),
                "std": list(expected.std),
                "interpolation": expected.interpolation,
            },
            "weights": {"name": self.pretrained.weights, "sha256": self.pretrained.checksum},
            "versions": dict(versions()),
        }
        return Checkpoint(network.original_state(), facts)

    def record(self) -> StudyRecord:
        """Return the study as the store keeps it, without trials."""
        spec = self.spec
        facts = probe.describe(self.pretrained.chain)
        return StudyRecord(
            name=spec.name,
            task=spec.task,
            metric=spec.objective,
            maximize=spec.maximize,
            backbone=spec.backbone,
            weights=self.pretrained.weights,
            dataset=dataset_record(self.dataset),
            target=spec.search.trials,
            spec={"study": spec.to_json(), "base": str(spec.base)},
            spec_text=spec.text,
            identity=self._identity(),
            units=tuple(UnitRecord(unit.name, unit.parameters, 2 * unit.macs, unit.reduction) for unit in facts),
            versions=versions(),
        )

    def _identity(self) -> dict[str, Json]:
        """Return what makes two studies the same search; not where the data lies."""
        plain = self.spec.to_json()
        return {
            "task": self.spec.task,
            "data": {"fingerprint": self.dataset.fingerprint, "classes": list(self.dataset.classes)},
            "backbone": self.spec.backbone,
            "weights": self.pretrained.checksum or self.pretrained.weights,
            "input_size": list(self.input_size),
            "space": plain["space"],
            "training": plain["training"],
            "objective": self.spec.objective,
            "seed": self.spec.search.seed,
        }


def _head(task: Task, classes: int, features: Features, choice: HeadChoice) -> nn.Module:
    return task.head(features, classes, choice)


def _optimize(
    recipe: Optimizer, penalty: Penalty, network: nn.Module, steps: int
) -> tuple[torch.optim.Optimizer, LRScheduler]:
    return optimize(_network(network), recipe, penalty, steps)


def _penalties(penalty: Penalty, network: nn.Module) -> Penalties:
    return building.penalties(_network(network), penalty)


def _network(module: nn.Module) -> building.Network:
    if not isinstance(module, building.Network):
        raise TypeError(f"expected a Network, got {type(module).__name__}")
    return module


def open_laboratory(spec: StudySpec, device: str = "auto") -> Laboratory:
    """Return the laboratory of a study: data checked, weights in place, decisions found.

    Raises:
        UserError, SpaceError: something the study file names is missing, broken or does not fit.
    """
    task = specs.tasks()[spec.task]
    precision = choose(device_of(device), spec.training.precision)
    backbone = backbones.resolve(spec.backbone)
    crop = backbone.preprocessing.crop
    input_size = spec.input_size or (crop, crop)
    beside = spec.base / Path(spec.weights).expanduser()
    weights = str(beside) if beside.is_file() or "/" in spec.weights else spec.weights
    dataset = specs.formats()[spec.data_format].read(spec.data, spec.base)
    pretrained = backbone.pretrained(weights, input_size, seed=spec.search.seed)
    for unit in pretrained.chain:
        unit.module.requires_grad_(False)
    space = Space(pretrained, spec.space)
    return Laboratory(spec, task, dataset, pretrained, space, precision, input_size)


def dataset_record(dataset: Dataset) -> DatasetRecord:
    """Return the data set as the store keeps it."""
    counts = Counter((sample.split, sample.label) for sample in dataset.samples)
    table = {
        split.value: {name: counts[split, label] for label, name in enumerate(dataset.classes)}
        for split in Split
        if any(sample.split is split for sample in dataset.samples)
    }
    return DatasetRecord(dataset.name, dataset.classes, table, dataset.fingerprint, dataset.skipped)


def versions() -> Mapping[str, str]:
    """Return the versions of what results depend on."""
    found = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            found[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            found[package] = "not installed"
    return found
