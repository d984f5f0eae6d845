"""A study as stored, and its identity: what makes two studies the same search."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from search.data.image_statistics import image_statistics
from search.data.overlap import overlaps
from search.data.sample import Dataset, Split
from search.records.study import DatasetRecord, Json, StudyRecord, UnitRecord
from search.runtime.study_runtime import StudyRuntime
from search.runtime.versions import versions
from search.tasks._base import Task
from search.training.options import TrainingOptions
from spaces.chains import probe


def study_record(runtime: StudyRuntime) -> StudyRecord:
    """Return the study as stored, without trials; without units if it has several backbones."""
    spec = runtime.spec
    facts = () if spec.backbones else probe.describe(runtime.pretrained.chain)
    return StudyRecord(
        name=spec.name,
        task=spec.task,
        metric=spec.objective,
        maximize=spec.maximize,
        backbone=", ".join(spec.backbones)[:255] or spec.backbone,
        weights=runtime.pretrained.weights,
        dataset=dataset_record(runtime.dataset, runtime.task),
        target=spec.search.target,
        spec={"study": spec.to_json(), "base": str(spec.base)},
        spec_text=spec.text,
        identity=_identity(runtime),
        units=tuple(UnitRecord(unit.name, unit.parameters, 2 * unit.macs, unit.reduction) for unit in facts),
        versions=versions(),
    )


def _identity(runtime: StudyRuntime) -> dict[str, Json]:
    """Return what makes two studies the same search; the location of the data is not part of it."""
    spec, task = runtime.spec, runtime.task
    plain = spec.to_json()
    weights: Json = runtime.pretrained.checksum or runtime.pretrained.weights
    return {
        "task": spec.task,
        "data": {"fingerprint": runtime.dataset.fingerprint, "classes": list(runtime.dataset.classes)},
        "backbone": list(spec.backbones) or spec.backbone,
        "weights": [spec.weights, weights] if spec.backbones else weights,
        "input_size": list(runtime.input_size),
        "space": plain["space"],
        "training": _identifying_options(plain["training"]),
        "objective": spec.objective,
        **{key: value for key, value in spec.goals.to_json().items() if value is not None},
        "seed": spec.search.seed,
        **({task.name: plain[task.name]} if task.options else {}),
    }


def _identifying_options(training: Mapping[str, Json]) -> dict[str, Json]:
    """Return the training options without later additions at their defaults, so that older studies can continue."""
    plain = TrainingOptions()
    later = ("prefix_cache", "views", "features", "compile", "balance", "patience")
    return {name: value for name, value in training.items() if name not in later or value != getattr(plain, name)}


def dataset_record(dataset: Dataset, task: Task) -> DatasetRecord:
    """Return the data set as stored; ``task`` knows the classes of a sample."""
    counts = Counter((sample.split, kind) for sample in dataset.samples for kind in task.kinds(sample.target))
    sizes = Counter(sample.split for sample in dataset.samples)
    table = {
        split.value: {name: counts[split, label] for label, name in enumerate(dataset.classes)}
        for split in Split
        if sizes[split]
    }
    whole = {split.value: sizes[split] for split in Split if sizes[split]}
    seen = image_statistics(dataset.of(Split.TRAIN)) if task.reads == "images" else {}
    known = (dataset.name, dataset.classes, table, dataset.fingerprint, dataset.skipped)
    return DatasetRecord(*known, whole, task.reads, task.outputs, seen, task.noun, overlaps(dataset.samples))
