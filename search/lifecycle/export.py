"""Exports a trained candidate to a folder that can be used, shared and checked without the study."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Unpack

from torch import Tensor, nn

from search.errors import FinetuneError, RunError, UserError
from search.lifecycle.artifact_places import open_artifacts
from search.lifecycle.open import load_study
from search.lifecycle.trained_candidate import (
    Progress,
    Seen,
    TrainedCandidate,
    labels_of,
    load_trained,
    look,
)
from search.model import card
from search.model import folder as model_folder
from search.model.folder import FINAL, SELECTED, TRAINED, WITHOUT, Check, ModelFacts, Origin
from search.model.formats import model_format
from search.model.formats._base import ModelFormat, Signature, example_of
from search.model.predict import network_in, outputs_of
from search.model.preprocessing import steps
from search.records.command_line import command
from search.records.named_trial import BEST, chosen_model, with_weights
from search.records.study import DatasetRecord, Refit
from search.runtime.versions import versions
from search.tasks import tasks
from search.tasks._base import Task
from search.workers.options import RunKeywords, run_options
from spaces import backbones
from spaces.backbones._base import NO_WEIGHTS
from spaces.candidate import Candidate
from spaces.errors import SpaceError

_COMPARED = 64
_SAME = 1e-3
"""Difference from the stored metric, relative to it and to 1, above which it is reported to the user."""
_FOLDED = 1e-4
"""Allowed difference, relative to the largest output, with folded batch norms: each rounds differently."""
Calibrate = Callable[[Tensor, Tensor], float]
"""Validation logits and labels -> temperature."""


@dataclass(frozen=True, slots=True)
class Exported:
    """The files of an export.

    Attributes:
        notes: lines that a user should know.
        failed: why a format was not written, by its name; the others do not need it.
    """

    folder: Path
    facts: ModelFacts
    notes: tuple[str, ...] = ()
    failed: Mapping[str, str] = field(default_factory=dict)


def export_study(
    study: str,
    *,
    candidate: str = BEST,
    formats: Sequence[str] = ("safetensors",),
    output: str | Path | None = None,
    fold_bn: bool = False,
    calibrate: Calibrate | None = None,
    compared: int = _COMPARED,
    progress: Progress = lambda *_: None,
    **given: Unpack[RunKeywords],
) -> Exported:
    """Write a trained candidate to a folder and return what was written; every file is opened again and compared.

    A model already in the folder stays untouched until the new one is complete.

    Args:
        candidate: ``best`` for the final model or, without one, the winner's weights from the search; ``baseline``, the
            number of a trial, or ``refit`` for the newest finished refit.
        formats: any of ``search.model.formats``.
        output: the folder; ``runs/STUDY/model`` by default.
        fold_bn: fold batch norms into the preceding layers.
        calibrate: fits the temperature to validation logits and labels; None leaves it at 1.
        compared: number of validation images on which each file is compared; 0 for all.
        progress: called with ``(what, done, total)``.

    Raises:
        UserError: no such study, trial, checkpoint or format; other data; the folder holds something else.
        RunError: no format can be written, or none of the files computes what the network does.
    """
    chosen = {name: model_format(name) for name in dict.fromkeys(formats)}
    if not chosen:
        raise UserError("no format to export to; name at least one with --format")
    options = run_options(given)
    record = load_study(study, storage=options.storage)
    _check_task(record.task)
    trial, refit = chosen_model(record, candidate)
    trial = with_weights(record, trial)
    folder = Path(output) if output is not None else Path("runs") / record.name / "model"
    model_folder.check_target(folder)
    artifact_store = open_artifacts(record.name, storage=options.storage, artifacts=options.artifacts)
    trained = replace(load_trained(record, trial, artifact_store, options.data, progress), refit=refit)
    if refit is not None and calibrate is not None and refit.data != "train":
        raise UserError("a temperature needs images that were not trained on; refit with `--on train` to have some")
    recorded = _recorded_metrics(trained)
    seen = look(trained, compared, progress, whole=calibrate is not None or recorded is None)
    temperature = 1.0
    if calibrate is not None:
        labels = labels_of(trained, seen)
        temperature = calibrate(seen.outputs, labels) if seen.outputs is not None else 1.0
    notes = [*_differences(seen.metrics, trained)]
    if candidate == BEST and record.best is not None and trial.number != record.best.number:
        notes.append(
            f"no weights of the winner, trial {record.best.number}, are kept: this is trial {trial.number}, the best "
            f"of those that keep theirs; `{command('refit', record.name)}` trains the winner again"
        )
    if not any(trained.task.difference(right, right, trained.classes).scale for right in seen.expected):
        notes.append("the network says nothing of the compared inputs: files that say nothing either are taken for it")
    if fold_bn:
        count = trained.network.fold()
        notes += [] if count else ["no batch norm directly follows a layer: nothing was folded"]
    metrics = dict(seen.metrics) if recorded is None else recorded
    facts = replace(_facts(trained, metrics), temperature=temperature, folded=fold_bn)
    with model_folder.replacing(folder) as place:
        facts, failed = _write(trained, facts, chosen, seen, place, progress)
    return Exported(folder, facts, tuple(notes), failed)


def _check_task(name: str) -> None:
    task = tasks().get(name)
    if task is None:
        raise UserError(f"the task {name!r} is not installed here, so that its model cannot be made again")
    if type(task).answers is Task.answers and type(task).predicted is Task.predicted:
        raise UserError(
            f"models of the task {name} cannot be exported: its file defines neither `answers` nor `predicted`; their "
            "weights are the checkpoints under the study's folder, safetensors with the candidate in their head"
        )


def _differences(metrics: Mapping[str, float], trained: TrainedCandidate) -> Iterator[str]:
    """Yield a line for every metric that differs from the search's, which may have computed in half precision."""
    if trained.refit is not None:
        return  # measured on the test images, not on these
    stored = trained.checkpoint.facts["metrics"]
    device = trained.trial.extras.get("device", "another device")
    for name, value in metrics.items():
        if name in stored and abs(value - stored[name]) > _SAME * max(1.0, abs(stored[name])):
            yield (
                f"{name} is {value:.4f} here in float32 on the CPU, {stored[name]:.4f} in the search on {device}, "
                "where `training.precision: auto` may compute in half precision"
            )


def _facts(trained: TrainedCandidate, metrics: dict[str, float]) -> ModelFacts:
    record, trial, stored, refit = trained.study, trained.trial, trained.checkpoint.facts, trained.refit
    size = trial.size
    tested = refit is not None and bool(refit.test)
    return ModelFacts(
        name=model_name(record.name, trial.number, refit),
        study=record.name,
        trial=trial.number if refit is None else None,
        task=trained.task.name,
        classes=trained.classes,
        words=trial.words + _added(refit),
        backbone=trained.candidate.structure.backbone,
        weights=_origin(trained),
        frame=None if trained.frame is None else replace(trained.frame, steps=steps(trained.frame)),
        base_size=trained.pretrained.chain.input_size,
        objective=record.metric,
        metrics=metrics,
        stored={} if refit is not None else dict(stored["metrics"]),
        images=sum(record.dataset.counts.get("test", {}).values()) if tested else trained.loader.count,
        measured_on=_measured_on(record.dataset, refit, tested=tested),
        dataset=record.dataset.name,
        dataset_fingerprint=record.dataset.fingerprint,
        parameters=sum(parameter.numel() for parameter in trained.network.parameters()),
        flops=(refit.flops if refit is not None else 0) or (size.flops if size else 0),
        created=datetime.now(UTC).strftime("%Y-%m-%d %H:%M UTC"),
        files={},
        checks=(),
        versions=versions(),
        outputs=trained.task.outputs,
        texts=trained.texts,
        task_options=dict(stored.get("task_options", {})),
        task_facts=dict(stored.get("task_facts", {})),
    )


def _added(refit: Refit | None) -> str:
    """Return in words what the final model has beyond its candidate's network."""
    if refit is None:
        return ""
    several = f", {refit.branches} branches" if refit.branches > 1 else ""
    return several + (", mirror images averaged" if refit.is_mirrored else "")


def model_name(study: str, trial: int, refit: Refit | None) -> str:
    """Return the name of the model of a trial, or of a ``refit`` of it."""
    if refit is None:
        return f"{study}-trial-{trial}"
    return f"{study}-{'final' if refit.is_final else 'refit'}-{refit.number}"


def _recorded_metrics(trained: TrainedCandidate) -> dict[str, float] | None:
    """Return the metrics in a refit's record; None if the model has to be measured on all validation images.

    Those of a final model are its candidate's, before it saw the validation data.
    """
    refit, trial = trained.refit, trained.trial
    if refit is not None and refit.is_final:
        best = next((one for one in trial.epochs if one.epoch == trial.best_epoch), None)
        return dict(best.metrics) if best is not None else {}
    return dict(refit.test) if refit is not None and refit.test else None


def _measured_on(dataset: DatasetRecord, refit: Refit | None, *, tested: bool) -> str:
    words = SELECTED
    if refit is not None and tested:
        words = FINAL if refit.look == 1 else f"{FINAL}, look {refit.look} at them"
        if refit.tta and not refit.views:  # from an older version, which scored only the average
            words += ", averaged over views of each image, which `ftsearch predict` does not do"
    elif refit is not None and refit.is_final:
        words = WITHOUT
    elif refit is not None and refit.data != "train":
        words = TRAINED
    split = "test" if tested else "val"
    shared = (overlap.counted(dataset.noun) for overlap in dataset.overlaps if overlap.split == split)
    words = words if dataset.inputs == "images" else words.replace("images", "texts")
    return "; ".join((words, *shared))


def _origin(trained: TrainedCandidate) -> Origin:
    weights: dict[str, Any] = trained.checkpoint.facts["weights"]
    name = str(weights["name"])
    if name == NO_WEIGHTS:
        return Origin(name=name)
    try:
        known = backbones.resolve(trained.candidate.structure.backbone).weights
    except SpaceError:  # rebuilding needed no source: without one, only the card says less
        known = ()
    published = next((weights for weights in known if weights.name == name), None)
    license_name, source = (published.license, published.origin) if published else ("", "")
    return Origin(name=name, sha256=str(weights["sha256"]), license=license_name, source=source)


def _write(
    trained: TrainedCandidate,
    facts: ModelFacts,
    chosen: Mapping[str, ModelFormat],
    seen: Seen,
    place: Path,
    progress: Progress,
) -> tuple[ModelFacts, dict[str, str]]:
    """Write every format by itself; return the facts of those that were, and why the others were not.

    Raises:
        RunError: none could be written.
    """
    checks, failed, signature = list[Check](), dict[str, str](), _signature(trained)
    graph = cache(partial(trained.task.graph, trained.network))
    trained.task.keep(place)
    for number, (name, known) in enumerate(chosen.items(), 1):
        progress(f"writing {name}", number, len(chosen))
        own = replace(facts, files={name: known.file_name})
        try:
            network = graph() if known.holds == "graph" else trained.network
            checks.append(_written(trained, network, own, known, seen, place, signature))
        except (FinetuneError, SpaceError) as error:
            failed[name] = str(error).replace(f"{place}{os.sep}", "")  # which nobody will see
            for left in place.glob(f"{known.file_name}*"):
                left.unlink()
    if not checks:
        raise RunError("; ".join(failed.values()))
    written = [chosen[check.format] for check in checks]
    facts = replace(facts, files={known.name: known.file_name for known in written}, checks=tuple(checks))
    (place / model_folder.FACTS).write_text(facts.to_json(), "utf-8")
    (place / model_folder.CANDIDATE).write_text(_json(trained.candidate), "utf-8")
    snippet_facts = _snippet_facts(trained, signature)
    brought = f", {snippet_facts['import']}" if snippet_facts.get("import") else ""
    snippets = [
        (known.file_name, known.needs + (brought if known.needs == "torch" else ""), known.snippet(snippet_facts))
        for known in written
    ]
    task = trained.task
    (place / model_folder.CARD).write_text(card.card(facts, task.hub_task, snippets, task.means), "utf-8")
    return facts, failed


def _written(
    trained: TrainedCandidate,
    network: nn.Module,
    facts: ModelFacts,
    known: ModelFormat,
    seen: Seen,
    place: Path,
    signature: Signature,
) -> Check:
    """Write ``network`` in one format, open its file again, and return how it compares.

    Raises:
        RunError: the network cannot be written in it, or the file computes something else.
        UserError: the file cannot be opened or run.
    """
    path = place / known.file_name
    text = {model_folder.FACTS: facts.to_json(), model_folder.CANDIDATE: _json(trained.candidate)}
    known.write(network, example_of(max(seen.compared, key=len)), path, text, signature)
    opened = known.open(path, partial(network_in, place, facts, trained.candidate))
    return _compared(known, opened, seen, trained.task, facts)


def _signature(trained: TrainedCandidate) -> Signature:
    task, shape = trained.task, trained.network.input_shape
    most = (None, *shape)[: len(task.varying)]
    return Signature(task.varying, most, task.output_names)


def _snippet_facts(trained: TrainedCandidate, signature: Signature) -> dict[str, str]:
    """Return the facts that the card's code snippets need."""
    snippet_facts = {"shape": ", ".join(map(str, trained.network.input_shape)), "outputs": ", ".join(signature.outputs)}
    if trained.texts is not None:
        most = f"any number of texts, 2 to {trained.texts.length} tokens"
        snippet_facts |= {"reads": "tokens", "dtype": "int64", "free": most}
        snippet_facts |= {"text": '("A text.", "Another.")'} if trained.texts.pairs else {}
        snippet_facts |= {"text": '["Some", "words"]'} if trained.texts.words else {}
    if trained.task.predicts == "boxes":
        snippet_facts["import"] = "torchvision"
    return snippet_facts


def _compared(known: ModelFormat, opened: nn.Module, seen: Seen, task: Task, facts: ModelFacts) -> Check:
    """Return how closely the file reproduces the network, on one input and on batches of others.

    Raises:
        RunError: they differ by more than rounding.
    """
    pairs = zip(seen.compared, seen.expected, strict=True)
    gaps = [task.difference(task.read(outputs_of(opened, inputs)), right, facts.classes) for inputs, right in pairs]
    allowed = max(known.tolerance, _FOLDED if facts.folded else 0.0)
    difference = max(gap.largest for gap in gaps) / max(*(gap.scale for gap in gaps), 1e-12)
    if not difference <= allowed:
        raise RunError(
            f"{known.file_name} does not compute what the network does: outputs differ by {difference:.1e} of the "
            f"largest, {allowed:.0e} is allowed; leave the format {known.name} out and report this"
        )
    return Check(
        format=known.name,
        file=known.file_name,
        images=seen.count,
        difference=difference,
        allowed=allowed,
        agreeing=sum(gap.agreeing for gap in gaps),
    )


def _json(candidate: Candidate) -> str:
    return json.dumps(candidate.to_json(), indent=2, ensure_ascii=False) + "\n"
