"""Training with few labels: balanced classes, and pseudo-labels for unlabelled images."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from search.data.assembly import Listed, readable
from search.data.broken_samples import OnError
from search.data.files import Walk
from search.data.given_paths import given_path
from search.data.images import EXTENSIONS, FileImage
from search.data.loader import Loader
from search.data.sample import Dataset, Sample, Split
from search.errors import DataError, UserError
from search.runtime.study_runtime import StudyRuntime
from search.spec.study_spec import StudySpec
from search.training.balance import class_weights
from search.training.epoch import whole
from search.training.features import FrozenLoader
from search.training.fit import EpochBatches, TrainingPlan
from search.training.pseudo import PseudoLabelled
from spaces.candidate import Candidate
from spaces.decisions.pseudo import Pseudo
from spaces.networks.build import Network


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Images without labels, plain and augmented, as two splits; decoded ones are kept for all trials."""

    dataset: Dataset
    decoded: dict[Any, Any] = field(default_factory=dict, repr=False)


def check(runtime: StudyRuntime) -> None:
    """Check that the study's data have what its recipe needs.

    Raises:
        UserError: balanced classes or pseudo-labels for a task without one class per sample, or pseudo-labels without
            ``data.unlabelled``.
        DataError: that folder is missing, or has no image or a broken one.
    """
    spec, task = runtime.spec, runtime.task
    if spec.training.balance != "off" and not task.mixes:
        raise UserError(f"training.balance: samples of the task {task.name} do not have one class each; leave it out")
    if "pseudo" in spec.space:
        if not task.mixes:
            raise UserError(f"space.pseudo: samples of the task {task.name} do not have one class each; leave it out")
        if not getattr(spec.data, "unlabelled", None):
            raise UserError("space.pseudo: there are no images to label; name their folder with data.unlabelled")
        unlabelled(spec)


def adapted(runtime: StudyRuntime, plan: TrainingPlan, candidate: Candidate, network: Network) -> TrainingPlan:
    """Return ``plan``, of ``network``, with classes balanced and unlabelled images beside the labelled ones."""
    balance, classes = runtime.spec.training.balance, len(runtime.dataset.classes)
    if balance != "off":
        labels = torch.tensor([sample.target for sample in runtime.dataset.of(Split.TRAIN)])
        weights = class_weights(labels, classes)
        plan = replace(plan, start=plan.start.weighing(weights) if plan.start else None)
        if balance == "sampling":
            _feed(plan).weights = weights[labels]
        else:
            plan = replace(plan, class_weights=weights.to(runtime.precision.device))
    pseudo: Pseudo = runtime.space.values(candidate)["pseudo"]
    return plan if not pseudo.weight else _with_pseudo(runtime, plan, candidate, network, pseudo)


def _with_pseudo(
    runtime: StudyRuntime, plan: TrainingPlan, candidate: Candidate, network: Network, pseudo: Pseudo
) -> TrainingPlan:
    images = unlabelled(runtime.spec)
    beside = replace(runtime, dataset=images.dataset, decoded=images.decoded)
    labelled = _feed(plan)
    labelled.views = None  # the frozen units are run again: every epoch may augment every image differently
    train = PseudoLabelled(
        labelled=labelled,
        plain=beside.batches(Split.VAL, candidate=candidate),
        varied=beside.batches(Split.TRAIN, plan.seed, candidate),
        network=network,
        precision=runtime.precision,
        classes=len(runtime.dataset.classes),
        threshold=pseudo.threshold,
        weight=pseudo.weight,
        seed=plan.seed,
    )
    given = plan.plain
    plain = (lambda: _from_input(given())) if given else None
    return replace(plan, train=train, val=_from_input(plan.val), plain=plain, forward=whole, facts=train.facts)


def _from_input(samples: EpochBatches) -> EpochBatches:
    """Return ``samples`` in the form that the whole network takes."""
    return samples.batches if isinstance(samples, FrozenLoader) else samples


def _feed(plan: TrainingPlan) -> Loader:
    train = plan.train
    loader = train.batches if isinstance(train, FrozenLoader) else train
    if not isinstance(loader, Loader):
        raise TypeError(f"expected batches of samples, got {type(loader).__name__}")
    return loader


def unlabelled(spec: StudySpec) -> Unlabelled:
    """Return the images in and below the folder ``data.unlabelled``.

    Raises:
        DataError: it is missing, holds no image, or a broken one that is not to be skipped.
    """
    return _unlabelled(given_path(spec.base, spec.data.unlabelled), getattr(spec.data, "on_error", "refuse"))


@lru_cache(maxsize=2)
def _unlabelled(folder: Path, on_error: OnError) -> Unlabelled:
    if not folder.is_dir():
        raise DataError(f"data.unlabelled: there is no folder {folder}; it is relative to the study file")
    images = [FileImage(path) for path in Walk().files(folder, EXTENSIONS)]
    if not images:
        raise DataError(f"data.unlabelled: there is no image in {folder}; expected files such as .jpg or .png")
    listed, digests, _ = readable("data.unlabelled", [Listed(image, None) for image in images], on_error)
    if not listed:
        raise DataError(f"data.unlabelled: no image in {folder} can be read")
    samples = tuple(Sample(item.input, 0, split) for split in (Split.TRAIN, Split.VAL) for item in listed)
    return Unlabelled(Dataset("unlabelled", ("?",), samples, hashlib.sha256(b"".join(digests)).hexdigest()))
