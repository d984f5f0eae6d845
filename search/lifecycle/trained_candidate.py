"""A trained candidate, rebuilt from its checkpoint, and its outputs for its study's validation samples."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from PIL import Image
from torch import Tensor

from search.artifacts.stores import ArtifactStore
from search.data.assembly import decoded_folder
from search.data.formats import formats
from search.data.image_loader import Request
from search.data.loader import Loader
from search.data.sample import Dataset, Split
from search.data.texts import Text
from search.errors import ConflictError, TrialError, UserError
from search.lifecycle.open import stored_spec
from search.model.folder import FITS, ImagePreprocessing, TextPreprocessing
from search.model.inputs import transform_of
from search.model.predict import outputs_of, rebuilt
from search.records.study import Refit, StudyRecord, TrialRecord
from search.spec.study_spec import StudySpec
from search.tasks import tasks
from search.tasks._base import Task
from search.tasks._texts import TOKENIZER, Texts
from search.training import checkpoint
from search.training.checkpoint import Checkpoint
from spaces import backbones
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.candidate import Candidate
from spaces.networks.inference import InferenceNetwork, blank

Progress = Callable[[str, int, int], None]
_BATCH = 32
_GROUP = 16
_SAME_INPUT = 1e-4
"""Largest difference of a prepared image from the one that validation saw."""


@dataclass(frozen=True, slots=True)
class TrainedCandidate:
    """A trained network and its records; for a ``refit``, ``trial`` is the one whose candidate it trained."""

    study: StudyRecord
    trial: TrialRecord
    candidate: Candidate
    checkpoint: Checkpoint
    task: Task
    pretrained: Pretrained
    network: InferenceNetwork
    loader: Loader
    frame: ImagePreprocessing | None
    texts: TextPreprocessing | None = None
    refit: Refit | None = None

    @property
    def classes(self) -> tuple[str, ...]:
        """Names of the classes, or of the numbers that are predicted."""
        return tuple(self.checkpoint.facts["classes"])


@dataclass(frozen=True, slots=True)
class Seen:
    """The network's outputs for the validation samples, and some of the inputs to compare exported files on.

    Attributes:
        outputs: of all samples, ``(N, outputs)``; None if it does not return one vector per sample.
        targets: of all samples, batch by batch, where each is one number.
        compared: batches of inputs, the first of one alone; ``expected`` what the network gives for each.
    """

    outputs: Tensor | None
    targets: list[Tensor]
    metrics: Mapping[str, float]
    compared: list[Tensor]
    expected: list[Any]

    @property
    def count(self) -> int:
        """Number of inputs that are compared."""
        return sum(map(len, self.compared))


def _checkpoint(record: StudyRecord, trial: TrialRecord, artifact_store: ArtifactStore) -> Checkpoint:
    try:
        return checkpoint.get(artifact_store, str(trial.checkpoint))
    except TrialError as error:
        kind = str(trial.checkpoint).partition("-")[0]
        whose = {"trial": f"trial {trial.number}", "final": "the final model"}.get(kind, "the refit")
        raise UserError(
            f"the weights of {whose} of {record.name!r} are gone: {error}; name another with --candidate, or train it "
            f"again with `ftsearch refit {record.name}`"
        ) from error


def load_trained(
    record: StudyRecord, trial: TrialRecord, artifact_store: ArtifactStore, data: Path | None, progress: Progress
) -> TrainedCandidate:
    """Return the network of ``trial`` with its weights, and the validation samples of its study.

    Args:
        artifact_store: holds the study's checkpoints.
        data: where the data is, if not where the study file says.

    Raises:
        UserError: the checkpoint or the data are gone or damaged.
        ConflictError: the data is not the study's.
    """
    kept = _checkpoint(record, trial, artifact_store)
    facts, spec = kept.facts, stored_spec(record, data)
    dataset = _dataset(record, spec, data)
    candidate = Candidate.from_json(facts["candidate"])
    size = candidate.structure.input_size
    height, width = (record.identity or {}).get("input_size") or size
    bare = blank(candidate, (height, width))
    pretrained = replace(bare, preprocessing=_expected(candidate, str(facts["weights"]["name"])))
    task = tasks()[spec.task].bind(spec.task_options, dataset, pretrained)
    network = rebuilt(candidate, pretrained, task, len(dataset.classes), kept.tensors, folded=False)
    request = Request(
        dataset=dataset,
        split=Split.VAL,
        size=size,
        expected=pretrained.preprocessing,
        folder=decoded_folder(enabled=spec.training.cache),
        progress=progress,
    )
    loader = task.batches(request)
    frame = _image_preprocessing(task, facts, dataset, loader, pretrained.preprocessing)
    texts = _texts(task, spec, dataset, size[1])
    return TrainedCandidate(record, trial, candidate, kept, task, pretrained, network, loader, frame, texts)


def _expected(candidate: Candidate, weights: str) -> Preprocessing:
    """Return the preprocessing that the pretrained weights expect, as the search applied it."""
    backbone = backbones.resolve(candidate.structure.backbone)
    candidates = (known.preprocessing for known in backbone.weights if known.name == weights)
    return next(candidates, backbone.preprocessing)


def _texts(task: Task, spec: StudySpec, dataset: Dataset, length: int) -> TextPreprocessing | None:
    """Return how plain texts are prepared; None if the task takes none."""
    if not isinstance(task, Texts):
        return None
    inputs = [sample.input for sample in dataset.of(Split.VAL)]
    columns = [getattr(spec.data, name, None) or "" for name in ("text_column", "pair_column")]
    return TextPreprocessing(
        length=length,
        folder=TOKENIZER,
        pairs=any(isinstance(text, Text) and text.pair is not None for text in inputs),
        words=task.words,
        padding=task.padding,
        segments=task.segments,
        text_column=getattr(spec.data, "words_column", columns[0]),
        pair_column=columns[1],
        word_column=getattr(spec.data, "word_column", 0),
    )


def _image_preprocessing(
    task: Task, facts: Mapping[str, Any], dataset: Dataset, loader: Loader, preprocessing: Preprocessing
) -> ImagePreprocessing | None:
    """Return how plain images are prepared; None if that does not reproduce what validation saw."""
    samples = dataset.of(Split.VAL)
    first = samples[0].input.open()
    if task.reads != "images" or not isinstance(first, Image.Image):
        return None
    expected = facts["preprocessing"]
    height, width = expected["size"]
    fit = FITS.get(task.frame(Split.VAL, (height, width), preprocessing).fit)
    if fit is None:
        return None  # a third-party task's own frame
    plain = ImagePreprocessing(
        fit=fit,
        size=(height, width),
        resize=tuple(expected["resize"]),
        mean=tuple(expected["mean"]),
        std=tuple(expected["std"]),
        interpolation=expected["interpolation"],
        levels=getattr(samples[0].input, "levels", None),
    )
    seen = loader.inputs(torch.arange(1), 1)[0]
    transformed = transform_of(plain)(first)
    same = transformed.shape == seen.shape and float((transformed - seen).abs().max()) < _SAME_INPUT
    return plain if same else None


def _dataset(record: StudyRecord, spec: StudySpec, data: Path | None) -> Dataset:
    try:
        dataset = formats()[spec.data_format].load(spec.data, spec.base)
    except UserError as error:
        hint = "" if data is not None else "; name its present place with --data"
        raise UserError(f"{error}{hint}") from error
    if dataset.fingerprint != record.dataset.fingerprint:
        raise ConflictError(
            f"the data is not what {record.name!r} was searched on (fingerprint {dataset.fingerprint[:12]}, the "
            f"study's is {record.dataset.fingerprint[:12]}); bring it back, or name its place with --data"
        )
    return dataset


def look(trained: TrainedCandidate, compared: int, progress: Progress, *, whole: bool = True) -> Seen:
    """Run the network on validation samples; keep ``compared`` of them, evenly spread, to compare; 0 for all.

    Args:
        whole: on all of them, for outputs, targets and metrics; these are empty otherwise.
    """
    task, evaluator = trained.task, trained.task.evaluator(trained.classes, torch.device("cpu"))
    outputs: list[Tensor] | None = []
    found_targets: list[Tensor] = []
    total, seen = trained.loader.count, 0
    for inputs, targets in trained.loader.epoch(1) if whole else ():
        batch_outputs = task.read(outputs_of(trained.network, inputs))
        evaluator.update(batch_outputs, targets)
        if outputs is not None and isinstance(batch_outputs, Tensor) and batch_outputs.ndim == 2:
            outputs.append(batch_outputs)
        else:
            outputs = None  # masks, boxes and tags of all samples would fill the memory
        if isinstance(targets, Tensor) and targets.ndim == 1:
            found_targets.append(targets)
        seen += len(inputs)
        progress("running validation samples", seen, total)
    groups = _spread(total, compared)
    chosen = [trained.loader.inputs(group, 1).clone() for group in groups]
    expected = [task.read(outputs_of(trained.network, inputs)) for inputs in chosen]
    metrics = dict(evaluator.compute()) if whole else {}
    return Seen(torch.cat(outputs) if outputs else None, found_targets, metrics, chosen, expected)


def _spread(total: int, wanted: int) -> list[Tensor]:
    """Return the indices of ``wanted`` of ``total`` samples, evenly spread, in batches; the first has one alone."""
    count = total if wanted <= 0 else min(wanted, total)
    places = sorted({round(index * (total - 1) / max(count - 1, 1)) for index in range(count)})
    numbers = torch.tensor(places)
    return [numbers[:1], *(part for part in numbers[1:].split(_GROUP) if len(part))]  # type: ignore[no-untyped-call]


def labels_of(trained: TrainedCandidate, seen: Seen) -> Tensor:
    """Return the class of every validation sample.

    Raises:
        UserError: the task does not have one class a sample, to which a temperature is fitted.
    """
    count = sum(map(len, seen.targets))
    is_classes = all(not part.is_floating_point() for part in seen.targets)
    if trained.task.outputs != "classes" or seen.outputs is None or not is_classes or count < len(seen.outputs):
        raise UserError(
            f"a temperature is fitted to one class a sample; the task {trained.task.name} has other targets"
        )
    return torch.cat(seen.targets)
