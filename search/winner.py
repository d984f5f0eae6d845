"""A trained candidate, made anew from its checkpoint, and what it gives for its study's validation samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from search import api
from search import spec as specs
from search.artifacts import Shelf
from search.data import augment
from search.data.assembly import cache_folder
from search.data.feed import Feed
from search.data.sample import Dataset, Split
from search.data.supply import Request
from search.data.targets import Targets
from search.errors import ConflictError, NotFoundError, TrialError, UserError
from search.model_folder import Frame
from search.predicting import outputs_of, rebuilt, transform_of
from search.records import Refit, StudyRecord, TrialRecord
from search.spec import StudySpec
from search.tasks._base import Task
from search.training import checkpoint
from search.training.checkpoint import Checkpoint
from spaces import backbones
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.candidate import Candidate
from spaces.plain import Plain, blank

BEST, REFIT = "best", "refit"
Tell = Callable[[str, int, int], None]
_BATCH = 32
_SAME_INPUT = 1e-4
"""Largest difference of a prepared image from the one that validation saw."""


@dataclass(frozen=True, slots=True)
class Winner:
    """A network with what is known of it; ``trial`` is whose candidate it is when it comes from a ``refit``."""

    study: StudyRecord
    trial: TrialRecord
    candidate: Candidate
    checkpoint: Checkpoint
    task: Task
    pretrained: Pretrained
    network: Plain
    feed: Feed
    frame: Frame | None
    refit: Refit | None = None


@dataclass(frozen=True, slots=True)
class Seen:
    """The network's outputs for all validation samples, and some of the inputs to compare files on."""

    outputs: Tensor
    targets: list[Targets]
    metrics: Mapping[str, float]
    compared: Tensor
    expected: Tensor


def chosen_refit(record: StudyRecord) -> tuple[TrialRecord, Refit]:
    """Return the study's newest finished refit, and the trial whose candidate it trained, with the refit's weights.

    Raises:
        NotFoundError: none has finished.
    """
    done = [refit for refit in record.refits if refit.checkpoint]
    if not done:
        raise NotFoundError(f"the study {record.name!r} has no finished refit; make one with `ftsearch refit`")
    refit = done[-1]
    trial = next((trial for trial in record.trials if trial.number == refit.trial), TrialRecord(-1, refit.state))
    trained = replace(trial, candidate=refit.candidate, words=refit.words, checkpoint=refit.checkpoint)
    return trained, refit


def chosen_trial(record: StudyRecord, wanted: str) -> TrialRecord:
    """Return the trial meant by ``best`` or a number, whose weights were kept.

    Raises:
        NotFoundError: no such trial, or none is complete.
        UserError: it is no number, or the trial's weights were not kept.
    """
    kept = [trial.number for trial in record.ranking if trial.checkpoint]
    there = f"trials with weights: {', '.join(map(str, kept))}" if kept else "no trial has any"
    if wanted == BEST:
        trial = record.best
        if trial is None:
            raise NotFoundError(f"the study {record.name!r} has no complete trial yet; run it with `ftsearch run`")
    else:
        number = int(wanted) if wanted.isdecimal() else None
        if number is None:
            raise UserError(f"--candidate: expected best, refit or the number of a trial, got {wanted!r}")
        trial = next((trial for trial in record.trials if trial.number == number), None)
        if trial is None:
            raise NotFoundError(f"the study {record.name!r} has no trial {number}; {there}")
    if not trial.checkpoint:
        raise UserError(
            f"trial {trial.number} of {record.name!r} ({trial.state}) has no weights: only the best complete trials "
            f"keep theirs (`keep_checkpoints`); {there}"
        )
    return trial


def _checkpoint(record: StudyRecord, trial: TrialRecord, shelf: Shelf) -> Checkpoint:
    try:
        return checkpoint.get(shelf, str(trial.checkpoint))
    except TrialError as error:
        whose = f"trial {trial.number}" if str(trial.checkpoint).startswith("trial") else "the refit"
        raise UserError(f"the weights of {whose} of {record.name!r} are gone: {error}") from error


def winner_of(record: StudyRecord, trial: TrialRecord, shelf: Shelf, data: Path | None, tell: Tell) -> Winner:
    """Return the network of ``trial`` with its weights, and the validation samples of its study.

    Args:
        shelf: where the study's checkpoints are.
        data: where its data lies when it is not where the study file says.

    Raises:
        UserError: the checkpoint is gone or damaged, or the data.
        ConflictError: the data is not the study's.
    """
    kept = _checkpoint(record, trial, shelf)
    facts, spec = kept.facts, api.stored_spec(record, data)
    dataset = _dataset(record, spec, data)
    candidate = Candidate.from_json(facts["candidate"])
    size = candidate.structure.input_size
    height, width = (record.identity or {}).get("input_size") or size
    bare = blank(candidate, (height, width))
    pretrained = replace(bare, preprocessing=_expected(candidate, str(facts["weights"]["name"])))
    task = specs.tasks()[spec.task].bind(spec.task_options, dataset, pretrained)
    network = rebuilt(candidate, pretrained, task, len(dataset.classes), kept.tensors, folded=False)
    request = Request(
        dataset=dataset,
        split=Split.VAL,
        size=size,
        expected=pretrained.preprocessing,
        batch_size=_BATCH,
        device=torch.device("cpu"),
        seed=0,
        augmentation=augment.preset("none", flip=False),
        mix=None,
        folder=cache_folder() / "decoded" if spec.training.cache else None,
        kept={},
        progress=tell,
    )
    feed = task.batches(request)
    return Winner(record, trial, candidate, kept, task, pretrained, network, feed, _frame(task, facts, dataset, feed))


def _expected(candidate: Candidate, weights: str) -> Preprocessing:
    """Return what the pretrained weights expect of images, as the search took it."""
    backbone = backbones.resolve(candidate.structure.backbone)
    found = (known.preprocessing for known in backbone.weights if known.name == weights)
    return next(found, backbone.preprocessing)


def _frame(task: Task, facts: Mapping[str, Any], dataset: Dataset, feed: Feed) -> Frame | None:
    """Return how plain images are prepared; None where that does not give what validation saw."""
    samples = dataset.of(Split.VAL)
    first = samples[0].input.open()
    if task.reads != "images" or not isinstance(first, Image.Image):
        return None
    expected = facts["preprocessing"]
    frame = Frame(
        size=tuple(expected["size"]),
        resize=tuple(expected["resize"]),
        mean=tuple(expected["mean"]),
        std=tuple(expected["std"]),
        interpolation=expected["interpolation"],
    )
    seen = feed.inputs(torch.arange(1), 1)[0]
    found = transform_of(frame)(first)
    alike = found.shape == seen.shape and float((found - seen).abs().max()) < _SAME_INPUT
    return frame if alike else None


def _dataset(record: StudyRecord, spec: StudySpec, data: Path | None) -> Dataset:
    try:
        dataset = specs.formats()[spec.data_format].read(spec.data, spec.base)
    except UserError as error:
        hint = "" if data is not None else "; say with --data where the study's data lies now"
        raise UserError(f"{error}{hint}") from error
    if dataset.fingerprint != record.dataset.fingerprint:
        raise ConflictError(
            f"the data is not what {record.name!r} was searched on (fingerprint {dataset.fingerprint[:12]}, the "
            f"study's is {record.dataset.fingerprint[:12]}); bring it back, or say with --data where it lies"
        )
    return dataset


def look(winner: Winner, compared: int, tell: Tell) -> Seen:
    """Run the network on all validation samples; of these keep ``compared``, evenly spread."""
    total, seen = winner.feed.count, 0
    count = total if compared <= 0 else min(compared, total)
    places = {round(place * (total - 1) / max(count - 1, 1)) for place in range(count)}
    meter = winner.task.meter(tuple(winner.checkpoint.facts["classes"]), torch.device("cpu"))
    outputs: list[Tensor] = []
    found_targets: list[Targets] = []
    kept: list[Tensor] = []
    for inputs, targets in winner.feed.epoch(1):
        found = outputs_of(winner.network, inputs)
        meter.update(found, targets)
        outputs.append(found)
        found_targets.append(targets)
        kept += [inputs[place - seen] for place in range(seen, seen + len(inputs)) if place in places]
        seen += len(inputs)
        tell("running validation samples", seen, total)
    whole = torch.cat(outputs)
    return Seen(whole, found_targets, dict(meter.compute()), torch.stack(kept), whole[sorted(places)])


def labels_of(winner: Winner, seen: Seen) -> Tensor:
    """Return the class of every validation sample.

    Raises:
        UserError: the task is of another kind: a temperature is fitted to one class a sample.
    """
    parts = [
        part for part in seen.targets if isinstance(part, Tensor) and part.ndim == 1 and not part.is_floating_point()
    ]
    if winner.task.outputs != "classes" or len(parts) < len(seen.targets):
        raise UserError(f"a temperature is fitted to one class a sample; the task {winner.task.name} has other targets")
    return torch.cat(parts)
