"""A pretrained network on labelled images: pooled features of several layers, its own predictions, its costs."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from search.data import cache
from search.data.assembly import cache_folder
from search.data.batches import Batches
from search.data.sample import Sample
from search.ranking.estimators._base import Evidence, as_floats
from search.training import features, latency, memory_budget
from search.training.feature_store import FeatureStore, StoredFeatures
from search.training.out_of_memory import MicroBatches
from search.training.precision import Precision
from spaces.backbones._base import NO_WEIGHTS, Pretrained
from spaces.chains import probe
from spaces.chains.chain import Chain, Trainable
from spaces.decisions.head import features_of
from spaces.heads import pool
from spaces.networks.build import Network

_VERSION = 2
_BATCH = 32
_WARM, _RUNS = 3, 15


@dataclass(frozen=True, slots=True)
class LabelledImages:
    """Images on which backbones are judged.

    Attributes:
        name: identifies content, labels and choice of ``samples``.
        folder: where decoded images and features are kept for the next time; None keeps nothing.
    """

    samples: Sequence[Sample]
    name: str
    folder: Path | None


def kept_in(*, kept: bool) -> Path | None:
    """Return this machine's cache, or None when nothing is to be ``kept``."""
    return cache_folder() if kept else None


@dataclass(frozen=True, slots=True)
class Profile:
    """One backbone on labelled images.

    Attributes:
        units: names of the units whose outputs were pooled, the last unit's the last; ``depths`` their shares of all.
        evidence: what estimators take, one per unit; the pretrained classes are with the last one.
    """

    units: tuple[str, ...]
    depths: tuple[float, ...]
    evidence: tuple[Evidence, ...]
    parameters: int
    flops: int
    latency_ms: float


def profile(pretrained: Pretrained, data: LabelledImages, precision: Precision, layers: int) -> Profile:
    """Return what ``pretrained`` makes of ``data``; each image goes through it once, and never again on this machine.

    Args:
        layers: of how many units the output is judged, the last one included.

    Raises:
        ProbeError: the network does not take images of its chain's size.
    """
    chain = pretrained.chain.train(False)
    places = layer_places(chain, layers)
    reader = _Reader(pretrained, places, precision)
    facts = probe.describe(chain)
    rows = _rows(reader, _batches(pretrained, data, precision), data, precision)
    labels = torch.tensor([sample.target for sample in data.samples]).numpy()
    parts = as_floats(rows.numpy())
    evidence, start = [], 0
    answers = parts[:, sum(reader.widths) :] if reader.classes else None
    for index, width in zip(places, reader.widths, strict=True):
        own = answers if index == places[-1] else None
        evidence.append(Evidence(parts[:, start : start + width], labels, own))
        start += width
    return Profile(
        units=tuple(chain.units[index].name for index in places),
        depths=tuple((index + 1) / len(chain) for index in places),
        evidence=tuple(evidence),
        parameters=sum(unit.parameters for unit in facts),
        flops=2 * sum(unit.macs for unit in facts),
        latency_ms=reader.latency_ms(),
    )


def layer_places(chain: Chain, most: int) -> list[int]:
    """Return places of at most ``most`` units after which a head fits, evenly spread, the last one among them."""
    ends = [index for index, unit in enumerate(probe.describe(chain)) if unit.can_end]
    count = min(max(most, 1), len(ends))
    return sorted({ends[len(ends) - 1 - round(step * len(ends) / count)] for step in range(count)})


class _Reader:
    """A whole pretrained network as a frozen prefix, read at several places on the way."""

    def __init__(self, pretrained: Pretrained, places: Sequence[int], precision: Precision) -> None:
        chain = pretrained.chain
        frozen = tuple(replace(unit, trainable=Trainable.NONE) for unit in chain)
        self._network = precision.place_network(
            Network(replace(chain, units=frozen), nn.Identity()).to(precision.device)
        )
        self._classifier = chain.classifier.to(precision.device) if chain.classifier is not None else None
        self.classes = self._classifier is not None and pretrained.weights != NO_WEIGHTS
        self._shape = chain.input_shape
        self._precision = precision
        self._memory = MicroBatches()
        self._poolings: dict[int, nn.Module] = {}
        self.widths: list[int] = []
        for index in places:
            behind = features_of(replace(chain, units=chain.units[: index + 1]))
            pooling, width = pool(behind, next(iter(behind.poolings), ""))
            self._poolings[index] = pooling.to(precision.device)
            self.widths.append(width)
        prefix = features.Prefix(self._network, precision)
        self.key = [prefix.digests[-1], list(places), self.classes, hash_of(prefix.digests)]

    @torch.inference_mode()
    def __call__(self, images: Tensor) -> Tensor:
        """Return pooled features of all places, then probabilities, side by side: ``(N, sum of widths)``."""
        pooled: list[Tensor] = []

        def run(slices: Iterator[slice]) -> None:
            pooled.clear()
            for piece in slices:
                with self._precision.autocast():
                    pooled.append(self._row(self._precision.place(images[piece])))

        self._memory.run(len(images), run)
        return torch.cat(pooled)

    def _row(self, values: Tensor) -> Tensor:
        columns: list[Tensor] = []
        for index, unit in enumerate(self._network.units):
            values = unit(values)
            if index in self._poolings:
                columns.append(self._poolings[index](values).float())
        if self.classes and self._classifier is not None:
            columns.append(self._classifier(values).float().softmax(dim=1))
        return torch.cat(columns, dim=1)

    def latency_ms(self) -> float:
        """Return the milliseconds of one image through the units."""
        image = torch.zeros((1, *self._shape))
        return latency.measure(self._network, image, self._precision, warmup=_WARM, runs=_RUNS).median


def hash_of(texts: Sequence[str]) -> str:
    """Return a hash of ``texts`` in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()


def _batches(pretrained: Pretrained, data: LabelledImages, precision: Precision) -> Batches:
    """Return the images as validation sees them."""
    expected, size = pretrained.preprocessing, pretrained.chain.input_size
    resize = (expected.resize_for(size[0]), expected.resize_for(size[1]))
    frame = cache.Frame(size, resize, expected.interpolation, whole=False)
    folder = data.folder / "decoded" if data.folder else None
    return Batches(
        pixels=cache.decode(data.samples, frame, data.name, folder),
        batch_size=_BATCH,
        device=precision.device,
        size=size,
        resize=resize,
        mean=expected.mean,
        std=expected.std,
    )


def _rows(reader: _Reader, batches: Batches, data: LabelledImages, precision: Precision) -> Tensor:
    """Return the reader's rows for all images, from the feature cache if it has them."""
    folder = data.folder / "features" if data.folder else None
    store = FeatureStore(precision.device, folder, memory_budget.budgets(precision.device, folder), torch.float32)
    facts: list[Any] = [_VERSION, "ranking", data.name, batches.size, batches.resize, batches.mean, batches.std]
    facts += [str(precision.device.type), str(precision.dtype), *reader.key]
    key = hash_of([json.dumps(facts)])
    count = batches.count
    kept = store.find(key)
    if kept is None:
        first = next(batches.every(1, _BATCH))
        sample = reader(first[1])

        def fill(rows: StoredFeatures) -> None:
            for part, images in batches.every(1, _BATCH):
                rows.put(part, sample if part == first[0] else reader(images))

        kept = store.make(key, count, sample, fill)
        if kept is None:  # nothing has room for a few thousand numbers per image
            kept = StoredFeatures(torch.empty((count, sample.shape[1])), False, torch.float32)
            fill(kept)
    return kept.take(torch.arange(count), precision.device).float().cpu()
