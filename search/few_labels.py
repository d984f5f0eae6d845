"""What is done where labels are few: classes are balanced, unlabelled images learnt from."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from search.data.assembly import in_parallel
from search.data.feed import Feed
from search.data.images import EXTENSIONS, FileImage, why_broken
from search.data.sample import Dataset, Sample, Split
from search.errors import DataError, UserError
from search.laboratory import Laboratory
from search.spec import StudySpec
from search.training.balance import class_weights
from search.training.epoch import whole
from search.training.features import FrozenBatches
from search.training.fit import Course
from search.training.pseudo import PseudoLabelled
from spaces.build import Network
from spaces.candidate import Candidate
from spaces.decisions.pseudo import Pseudo


@dataclass(frozen=True, slots=True)
class Unlabelled:
    """Images without labels, in both splits: as they are and varied; what is decoded of them is kept for all trials."""

    dataset: Dataset
    decoded: dict[Any, Any] = field(default_factory=dict, repr=False)


def check(laboratory: Laboratory) -> None:
    """Check that the study's data have what its recipe asks for.

    Raises:
        UserError: balanced classes or pseudo-labels of a task without one class a sample, or pseudo-labels without
            ``data.unlabelled``.
        DataError: that folder is missing, has no image or a broken one.
    """
    spec, task = laboratory.spec, laboratory.task
    if spec.training.balance != "off" and not task.mixes:
        raise UserError(f"training.balance: samples of the task {task.name} have not one class each; leave it out")
    if "pseudo" in spec.space:
        if not task.mixes:
            raise UserError(f"space.pseudo: samples of the task {task.name} have not one class each; leave it out")
        if not getattr(spec.data, "unlabelled", None):
            raise UserError("space.pseudo: there are no images to label; name their folder with data.unlabelled")
        unlabelled(spec)


def adapted(laboratory: Laboratory, course: Course, candidate: Candidate, network: Network) -> Course:
    """Return ``course``, of ``network``, with classes balanced and unlabelled images beside the labelled ones."""
    balance, classes = laboratory.spec.training.balance, len(laboratory.dataset.classes)
    if balance != "off":
        labels = torch.tensor([sample.target for sample in laboratory.dataset.of(Split.TRAIN)])
        weights = class_weights(labels, classes)
        course = replace(course, start=course.start.weighing(weights) if course.start else None)
        if balance == "sampling":
            _feed(course).weights = weights[labels]
        else:
            course = replace(course, class_weights=weights.to(laboratory.precision.device))
    pseudo: Pseudo = laboratory.space.values(candidate)["pseudo"]
    return course if not pseudo.weight else _with_pseudo(laboratory, course, candidate, network, pseudo)


def _with_pseudo(
    laboratory: Laboratory, course: Course, candidate: Candidate, network: Network, pseudo: Pseudo
) -> Course:
    found = unlabelled(laboratory.spec)
    beside = replace(laboratory, dataset=found.dataset, decoded=found.decoded)
    labelled, val = _feed(course), course.val
    labelled.views = None  # the frozen units are run anew: every epoch may vary every image anew
    train = PseudoLabelled(
        labelled=labelled,
        plain=beside.batches(Split.VAL, candidate=candidate),
        varied=beside.batches(Split.TRAIN, course.seed, candidate),
        network=network,
        precision=laboratory.precision,
        classes=len(laboratory.dataset.classes),
        threshold=pseudo.threshold,
        weight=pseudo.weight,
        seed=course.seed,
    )
    val = val.batches if isinstance(val, FrozenBatches) else val
    return replace(course, train=train, val=val, forward=whole, facts=train.facts)


def _feed(course: Course) -> Feed:
    train = course.train
    feed = train.batches if isinstance(train, FrozenBatches) else train
    if not isinstance(feed, Feed):
        raise TypeError(f"expected batches of samples, got {type(feed).__name__}")
    return feed


def unlabelled(spec: StudySpec) -> Unlabelled:
    """Return the images in the folder ``data.unlabelled``, whatever folders they are in there.

    Raises:
        DataError: it is missing, holds no image, or a broken one that shall not be skipped.
    """
    return _unlabelled(spec.base / Path(spec.data.unlabelled).expanduser(), getattr(spec.data, "on_error", "refuse"))


@lru_cache(maxsize=2)
def _unlabelled(folder: Path, on_error: str) -> Unlabelled:
    if not folder.is_dir():
        raise DataError(f"data.unlabelled: there is no folder {folder}; it is relative to the study file")
    paths = sorted(path for path in folder.rglob("*") if path.suffix.lower() in EXTENSIONS and path.is_file())
    images = [FileImage(path) for path in paths if not path.name.startswith(".")]
    broken = in_parallel(why_broken, images)
    if on_error == "refuse":
        for image, reason in zip(images, broken, strict=True):
            if reason:
                raise DataError(
                    f"data.unlabelled: cannot read the image {image.name}: {reason}; "
                    "remove it, or set `on_error: skip` under `data:`"
                )
    images = [image for image, reason in zip(images, broken, strict=True) if not reason]
    if not images:
        raise DataError(f"data.unlabelled: there is no image in {folder}; expected files such as .jpg or .png")
    samples = tuple(Sample(image, 0, split) for split in (Split.TRAIN, Split.VAL) for image in images)
    return Unlabelled(Dataset("unlabelled", ("?",), samples, _fingerprint(images)))


def _fingerprint(images: list[FileImage]) -> str:
    return hashlib.sha256(b"".join(in_parallel(FileImage.digest, images))).hexdigest()
