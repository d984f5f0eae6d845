"""Ranks pretrained networks by how well they suit the data, without training them."""

from __future__ import annotations

import random
import time
from collections import defaultdict
from collections.abc import Callable, Iterator
from pathlib import Path

from search.data.formats import formats
from search.data.sample import Dataset, Sample, Split
from search.errors import DataError, NotFoundError, UserError
from search.ranking.estimators import estimators
from search.ranking.estimators._base import Estimator
from search.ranking.options import CostLimits, RankOptions
from search.ranking.profile import LabelledImages, Profile, kept_in, profile
from search.records.backbone_ranking import BackboneScore, Layer, Ranking, ordered
from search.spec.load import load_spec
from search.spec.study_spec import StudySpec
from search.store import DEFAULT_URL, reading
from search.store.opening import check_exists, opened
from search.tasks import tasks
from search.training import memory_budget
from search.training.precision import Precision, choose, device_of
from spaces import backbones
from spaces.backbones._base import NO_WEIGHTS, Backbone
from spaces.chains import probe
from spaces.errors import BackboneError, ChainError, ProbeError, SpaceError, WeightsError

Progress = Callable[[str, int, int], None]


def rank_backbones(
    study: str | Path,
    options: RankOptions | None = None,
    *,
    device: str = "auto",
    storage: str = DEFAULT_URL,
    progress: Progress = lambda *_: None,
) -> Ranking:
    """Rank backbones on the training images of a study; nothing is trained, nothing is stored.

    Args:
        study: path of the study file.
        options: which backbones, and how; by default the study's own and all whose weights are on this machine.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        storage: where trials on the same data are looked up, to compare the scores with their results.
        progress: called with ``(what, done, total)``.

    Raises:
        UserError, SpaceError: the study file, a backbone or an estimator does not exist; or none can be scored.
    """
    options = options or RankOptions()
    chosen = estimators(options.methods)
    named = [backbones.resolve(name) for name in options.names]
    spec = load_spec(study)
    memory_budget.keep_memory()
    try:
        precision = choose(device_of(device), spec.training.precision)
    except ValueError as error:
        raise UserError(str(error)) from error
    if tasks()[spec.task].outputs != "classes":
        raise UserError(f"backbones are ranked by classes; the task {spec.task} predicts {tasks()[spec.task].outputs}")
    if not named:
        named.append(backbones.resolve(spec.backbone))
    if options.all_local or not options.names:
        progress("looking for weights on this machine", 0, 1)
        named += local_backbones()
    dataset = formats()[spec.data_format].load(spec.data, spec.base)
    samples = _chosen(dataset, options.images, spec.search.seed)
    data = LabelledImages(
        samples, f"{dataset.fingerprint}-train-{len(samples)}-{spec.search.seed}", kept_in(kept=spec.training.cache)
    )
    backbone_scores: list[BackboneScore] = []
    left_out: list[tuple[str, str]] = []
    unique = {backbone.name: backbone for backbone in named}
    for number, backbone in enumerate(unique.values(), 1):
        progress(f"scoring {backbone.name}", number, len(unique))
        try:
            backbone_scores.append(_score(backbone, spec, data, precision, chosen, options))
        except (WeightsError, ProbeError, ChainError, BackboneError, _LeftOutError) as error:
            left_out.append((backbone.name, str(error)))
    if not backbone_scores:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in left_out[:3])
        raise UserError(f"no backbone could be scored ({reasons}); name others with --backbones")
    return Ranking(
        study=spec.name,
        dataset=dataset.name,
        images=len(samples),
        classes=len(dataset.classes),
        device=str(precision.device),
        titles={name: method.title for name, method in chosen.items()},
        backbone_scores=ordered(backbone_scores, list(chosen)),
        left_out=tuple(left_out),
        tried=trials_of(dataset.fingerprint, spec.objective, maximize=spec.maximize, storage=storage),
        metric=spec.objective,
        maximize=spec.maximize,
    )


class _LeftOutError(Exception):
    """A backbone is not scored; the message says why."""


def local_backbones() -> Iterator[Backbone]:
    """Yield every image network whose weights are on this machine; their content is not read."""
    for source in backbones.sources().values():
        for name in source.names():
            try:
                backbone = source.open(name)
                here = backbone.reads == "images" and any(weights.is_here for weights in backbone.weights)
            except SpaceError:  # one that cannot be described cannot be ranked
                continue
            if here:
                yield backbone


def _score(
    backbone: Backbone,
    spec: StudySpec,
    data: LabelledImages,
    precision: Precision,
    chosen: dict[str, Estimator],
    options: RankOptions,
) -> BackboneScore:
    begin = time.monotonic()
    if backbone.reads != "images":
        raise _LeftOutError(f"it reads {backbone.reads}")
    size = spec.input_size or backbone.usual_size
    if options.under != CostLimits():
        facts = probe.describe(backbone.describe(size))
        cost = (sum(unit.parameters for unit in facts), 2 * sum(unit.macs for unit in facts))
        if reason := options.under.why_not(*cost):
            raise _LeftOutError(reason)
    own = spec.weights if backbone.name == spec.backbone and spec.weights != NO_WEIGHTS else "default"
    pretrained = backbone.pretrained(own, size)
    profiled = profile(pretrained, data, precision, options.layers)
    accuracy = next((weights.accuracy for weights in backbone.weights if weights.name == pretrained.weights), None)
    return BackboneScore(
        backbone=backbone.name,
        label=backbone.label,
        weights=pretrained.weights,
        size=size,
        parameters=profiled.parameters,
        flops=profiled.flops,
        latency_ms=profiled.latency_ms,
        accuracy=accuracy,
        scores=_scores(profiled, chosen),
        layers=tuple(_layers(profiled, chosen)),
        seconds=time.monotonic() - begin,
    )


def _scores(profiled: Profile, chosen: dict[str, Estimator]) -> dict[str, float]:
    last = profiled.evidence[-1]
    return {
        name: method.score(last)
        for name, method in chosen.items()
        if not method.reads_classes or last.probabilities is not None
    }


def _layers(profiled: Profile, chosen: dict[str, Estimator]) -> Iterator[Layer]:
    for unit, depth, evidence in zip(profiled.units, profiled.depths, profiled.evidence, strict=True):
        scores = {name: method.score(evidence) for name, method in chosen.items() if method.of_layers}
        yield Layer(unit, depth, evidence.features.shape[1], scores)


def _chosen(dataset: Dataset, most: int, seed: int) -> tuple[Sample, ...]:
    """Return at most about ``most`` training samples, of every class its share and at least two.

    Raises:
        DataError: a class has fewer than two, or samples have no single class.
    """
    by_class: dict[int, list[int]] = defaultdict(list)
    samples = dataset.of(Split.TRAIN)
    for index, sample in enumerate(samples):
        if not isinstance(sample.target, int):
            raise DataError(f"{dataset.name}: backbones are ranked by one class an image; this data has another form")
        by_class[sample.target].append(index)
    share = min(most / len(samples), 1.0)
    kept: list[int] = []
    for label, places in sorted(by_class.items()):
        if len(places) < 2:
            raise DataError(
                f"{dataset.name}: class {dataset.classes[label]!r} has a single training image; ranking needs two"
            )
        count = max(round(share * len(places)), 2)
        kept += random.Random(seed).sample(places, count) if count < len(places) else places
    return tuple(samples[index] for index in sorted(kept))


def trials_of(fingerprint: str, metric: str, *, maximize: bool, storage: str) -> dict[str, float]:
    """Return backbone -> best value of complete trials on the data of ``fingerprint``; empty without a store."""
    try:
        check_exists(storage)
    except NotFoundError:
        return {}
    best: dict[str, float] = {}
    with opened(storage, must_exist=True) as engine:
        for summary in reading.list_studies(engine):
            try:
                record = reading.load_study(engine, summary.name, epochs=False)
            except NotFoundError:  # deleted in between
                continue
            if record.dataset.fingerprint != fingerprint or record.metric != metric:
                continue
            for trial in record.ranking:
                backbone = trial.backbone or record.backbone
                value = trial.value or 0.0
                known = best.get(backbone, value)
                best[backbone] = max(known, value) if maximize else min(known, value)
    return best
