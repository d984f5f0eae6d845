"""The winner of a search as a folder that can be used, handed on and checked without the study."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search import api, model_card, model_folder
from search import spec as specs
from search.artifacts import Shelf
from search.data.assembly import in_parallel
from search.data.sample import Dataset, Sample, Split
from search.errors import ConflictError, NotFoundError, RunError, TrialError, UserError
from search.laboratory import versions
from search.model_folder import Check, Frame, ModelFacts, Origin
from search.model_formats import model_format
from search.model_formats._base import ModelFormat
from search.predicting import Transform, outputs_of, rebuilt, transform_of
from search.records import StudyRecord, TrialRecord
from search.store import DEFAULT_URL
from search.tasks._base import Task
from search.training import checkpoint
from search.training.checkpoint import Checkpoint
from spaces import backbones
from spaces.backbones._base import NO_WEIGHTS
from spaces.candidate import Candidate
from spaces.errors import SpaceError
from spaces.plain import Plain

BEST = "best"
_BATCH = 32
_COMPARED = 64
_SAME = 1e-3
"""A metric that is farther from the stored one than this is told to the user."""
_FOLDED = 1e-4
"""Allowed difference, relative to the largest output, when batch norms are folded: each of them rounds otherwise."""
Calibrate = Callable[[Tensor, Tensor], float]
"""Validation logits and labels -> temperature."""
Tell = Callable[[str, int, int], None]


@dataclass(frozen=True, slots=True)
class Exported:
    """What an export left behind; ``notes`` is what a user should know of it, a line each."""

    folder: Path
    facts: ModelFacts
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Winner:
    """A network with what is known of it."""

    study: StudyRecord
    trial: TrialRecord
    candidate: Candidate
    task: Task
    checkpoint: Checkpoint
    frame: Frame
    base_size: tuple[int, int]
    network: Plain


@dataclass(frozen=True, slots=True)
class _Seen:
    """The network's outputs for all validation images, and some of the images to compare files on."""

    outputs: Tensor
    labels: Tensor
    compared: Tensor
    expected: Tensor


def export_study(
    study: str,
    *,
    candidate: str = BEST,
    formats: Sequence[str] = ("safetensors",),
    output: str | Path | None = None,
    fold_bn: bool = False,
    storage: str = DEFAULT_URL,
    data: Path | None = None,
    artifacts: str | None = None,
    calibrate: Calibrate | None = None,
    compared: int = _COMPARED,
    tell: Tell = lambda *_: None,
) -> Exported:
    """Write a trained candidate to a folder and return what was written; every file is opened again and compared.

    A model that was in the folder stays as it is until the new one is whole.

    Args:
        candidate: ``best``, or the number of a trial.
        formats: any of ``search.model_formats``.
        output: the folder; ``runs/STUDY/model`` by default.
        fold_bn: fold batch norms into the layers in front of them.
        data: where the data lies when it is not where the study file says.
        artifacts: where the folder of the study's checkpoints is mounted on this machine.
        calibrate: fits the temperature to validation logits and labels; None leaves it at 1.
        compared: validation images on which each file is compared; 0 takes all.
        tell: told how far it is, ``(what, done, total)``.

    Raises:
        UserError: no such study, trial, checkpoint or format; other data; the folder holds something else.
        RunError: the network cannot be written in a format, or a file does not compute what the network does.
    """
    chosen = {name: model_format(name) for name in dict.fromkeys(formats)}
    if not chosen:
        raise UserError("no format to export to; name at least one with --format")
    record = api.load_study(study, storage=storage)
    trial = chosen_trial(record, candidate)
    folder = Path(output) if output is not None else Path("runs") / record.name / "model"
    model_folder.check_target(folder)
    winner = _winner(record, trial, api.open_artifacts(record.name, storage=storage, artifacts=artifacts))
    dataset = _dataset(record, data)
    seen = _look(winner, dataset, compared, tell)
    metrics = _metrics(winner, seen)
    temperature = calibrate(seen.outputs, seen.labels) if calibrate is not None else 1.0
    notes = [*_differences(metrics, winner)]
    if fold_bn:
        count = winner.network.fold()
        notes += [] if count else ["no batch norm stands right behind a layer: nothing was folded"]
    facts = replace(_facts(winner, metrics, len(seen.labels)), temperature=temperature, folded=fold_bn)
    with model_folder.replacing(folder) as place:
        facts = _write(winner, facts, chosen, seen, place, tell)
    return Exported(folder, facts, tuple(notes))


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
            raise UserError(f"--candidate: expected best or the number of a trial, got {wanted!r}")
        trial = next((trial for trial in record.trials if trial.number == number), None)
        if trial is None:
            raise NotFoundError(f"the study {record.name!r} has no trial {number}; {there}")
    if not trial.checkpoint:
        raise UserError(
            f"trial {trial.number} of {record.name!r} ({trial.state}) has no weights: only the best complete trials "
            f"keep theirs (`keep_checkpoints`); {there}"
        )
    return trial


def _winner(record: StudyRecord, trial: TrialRecord, shelf: Shelf) -> _Winner:
    try:
        found = checkpoint.get(shelf, str(trial.checkpoint))
    except TrialError as error:
        raise UserError(f"the weights of trial {trial.number} of {record.name!r} are gone: {error}") from error
    facts = found.facts
    candidate, task = Candidate.from_json(facts["candidate"]), specs.tasks()[str(facts["task"])]
    expected = facts["preprocessing"]
    frame = Frame(
        size=tuple(expected["size"]),
        resize=tuple(expected["resize"]),
        mean=tuple(expected["mean"]),
        std=tuple(expected["std"]),
        interpolation=expected["interpolation"],
    )
    height, width = (record.identity or {}).get("input_size") or candidate.structure.input_size
    network = rebuilt(candidate, task, len(facts["classes"]), (height, width), found.tensors)
    return _Winner(record, trial, candidate, task, found, frame, (height, width), network)


def _dataset(record: StudyRecord, data: Path | None) -> Dataset:
    spec = api.stored_spec(record, data)
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


def _look(winner: _Winner, dataset: Dataset, compared: int, tell: Tell) -> _Seen:
    """Run the network on all validation images; of these keep ``compared``, evenly spread."""
    samples = dataset.of(Split.VAL)
    count = len(samples) if compared <= 0 else min(compared, len(samples))
    places = {round(place * (len(samples) - 1) / max(count - 1, 1)) for place in range(count)}
    outputs, kept = [], []
    for start, inputs in _inputs(samples, transform_of(winner.frame)):
        tell("running validation images", start + len(inputs), len(samples))
        outputs.append(outputs_of(winner.network, inputs))
        kept += [inputs[place - start] for place in range(start, start + len(inputs)) if place in places]
    found = torch.cat(outputs)
    labels = torch.tensor([sample.label for sample in samples])
    return _Seen(found, labels, torch.stack(kept), found[sorted(places)])


def _inputs(samples: Sequence[Sample], transform: Transform) -> Iterator[tuple[int, Tensor]]:
    for start in range(0, len(samples), _BATCH):
        group = samples[start : start + _BATCH]
        yield start, torch.stack(in_parallel(partial(_read, transform), group))


def _read(transform: Transform, sample: Sample) -> Tensor:
    found: Tensor = transform(sample.image.open())
    return found


def _metrics(winner: _Winner, seen: _Seen) -> Mapping[str, float]:
    meter = winner.task.meter(tuple(winner.checkpoint.facts["classes"]), torch.device("cpu"))
    meter.update(seen.outputs, seen.labels)
    return dict(meter.compute())


def _differences(metrics: Mapping[str, float], winner: _Winner) -> Iterator[str]:
    """Yield a line for every metric that is not what the search stored: trials on a GPU round otherwise."""
    stored = winner.checkpoint.facts["metrics"]
    device = winner.trial.extras.get("device", "another device")
    for name, value in metrics.items():
        if name in stored and abs(value - stored[name]) > _SAME:
            yield f"{name} is {value:.4f} here in float32 on the CPU, {stored[name]:.4f} in the search on {device}"


def _facts(winner: _Winner, metrics: Mapping[str, float], images: int) -> ModelFacts:
    record, trial, found = winner.study, winner.trial, winner.checkpoint.facts
    size = trial.size
    return ModelFacts(
        name=f"{record.name}-trial-{trial.number}",
        study=record.name,
        trial=trial.number,
        task=winner.task.name,
        classes=tuple(found["classes"]),
        words=trial.words,
        backbone=winner.candidate.structure.backbone,
        weights=_origin(winner),
        frame=winner.frame,
        base_size=winner.base_size,
        objective=record.metric,
        metrics=metrics,
        stored=dict(found["metrics"]),
        images=images,
        dataset=record.dataset.name,
        dataset_fingerprint=record.dataset.fingerprint,
        parameters=sum(parameter.numel() for parameter in winner.network.parameters()),
        flops=size.flops if size else 0,
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        files={},
        checks=(),
        versions=versions(),
    )


def _origin(winner: _Winner) -> Origin:
    weights: dict[str, Any] = winner.checkpoint.facts["weights"]
    name = str(weights["name"])
    if name == NO_WEIGHTS:
        return Origin(name=name)
    try:
        known = backbones.resolve(winner.candidate.structure.backbone).weights
    except SpaceError:  # its source was there when the network was rebuilt; only the card is poorer
        known = ()
    published = next((found for found in known if found.name == name), None)
    license_name, source = (published.license, published.origin) if published else ("", "")
    return Origin(name=name, sha256=str(weights["sha256"]), license=license_name, source=source)


def _write(
    winner: _Winner, facts: ModelFacts, chosen: Mapping[str, ModelFormat], seen: _Seen, place: Path, tell: Tell
) -> ModelFacts:
    files = {name: known.file_name for name, known in chosen.items()}
    facts = replace(facts, files=files)
    checks: list[Check] = []
    text = {model_folder.FACTS: facts.to_json(), model_folder.CANDIDATE: _json(winner.candidate)}
    for number, (name, known) in enumerate(chosen.items(), 1):
        tell(f"writing {name}", number, len(chosen))
        path = place / known.file_name
        known.write(winner.network, _example(seen.compared), path, text)
        rebuild = partial(_again, winner, facts)
        checks.append(_compared(known, known.open(path, rebuild), seen, winner.task, facts))
    facts = replace(facts, checks=tuple(checks))
    (place / model_folder.FACTS).write_text(facts.to_json(), "utf-8")
    (place / model_folder.CANDIDATE).write_text(_json(winner.candidate), "utf-8")
    shape = ", ".join(map(str, winner.network.input_shape))
    snippets = [(known.file_name, known.needs, known.snippet({"shape": shape})) for known in chosen.values()]
    (place / model_folder.CARD).write_text(model_card.card(facts, winner.task.hub_task, snippets), "utf-8")
    return facts


def _again(winner: _Winner, facts: ModelFacts, state: Mapping[str, Tensor]) -> nn.Module:
    return rebuilt(winner.candidate, winner.task, len(facts.classes), facts.base_size, state, folded=facts.folded)


def _example(images: Tensor) -> Tensor:
    """Return two inputs: from one alone an exporter takes it that there is never more."""
    two = images[:2] if len(images) > 1 else images.repeat(2, *[1] * (images.ndim - 1))
    return two.clone()  # a view would take all images with it into the file


def _compared(known: ModelFormat, opened: nn.Module, seen: _Seen, task: Task, facts: ModelFacts) -> Check:
    """Return how the file compares with the network, run on one image, then on batches of the others.

    Raises:
        RunError: they differ by more than rounding.
    """
    images = seen.compared
    parts = [images[:1], *images[1:].split(_BATCH)] if len(images) > 1 else [images]  # type: ignore[no-untyped-call]
    found = torch.cat([outputs_of(opened, part) for part in parts])
    allowed = max(known.tolerance, _FOLDED if facts.folded else 0.0)
    difference = float((found - seen.expected).abs().max() / seen.expected.abs().max().clamp(min=1e-12))
    answers = [task.answers(outputs, facts.classes, 1) for outputs in (found, seen.expected)]
    same = sum(one[0].label == other[0].label for one, other in zip(*answers, strict=True))
    if not difference <= allowed:
        raise RunError(
            f"{known.file_name} does not compute what the network does: outputs differ by {difference:.1e} of the "
            f"largest, {allowed:.0e} is allowed; nothing was written; leave the format {known.name} out and report this"
        )
    return Check(
        format=known.name,
        file=known.file_name,
        images=len(images),
        difference=difference,
        allowed=allowed,
        agreeing=same,
    )


def _json(candidate: Candidate) -> str:
    return json.dumps(candidate.to_json(), indent=2, ensure_ascii=False) + "\n"
