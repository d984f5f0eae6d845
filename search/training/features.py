"""Cached features: the output of a frozen prefix for a fixed set of views, kept across epochs and trials.

It is identified by a chain of hashes: of the data and its views, then of each unit's code and weights. So any edit
inside the prefix, by whatever decision, changes the key, and a prefix finds the output of every shallower one that
begins in the same way.
"""

from __future__ import annotations

import copy
import hashlib
import itertools
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from search.data.loader import Loader, Stretch
from search.records.study import Json
from search.training.epoch import Batch
from search.training.feature_store import Arriving, FeatureStore, JoinedFeatures, KeptFeatures, StoredFeatures
from search.training.out_of_memory import MicroBatches
from search.training.precision import Precision
from spaces.chains import probe
from spaces.heads import Maps
from spaces.networks.build import Network
from spaces.surgery.folding import fold_batch_norms

logger = logging.getLogger(__name__)
_VERSION = 2
_PIECE, _FEWEST = 8e9, 8
"""Multiply-adds of the samples that a CPU runs through a prefix at once, and their smallest number: maps of more leave
its cache (MobileNetV2 at 128 px, stem stride 1: 38 ms an image in pieces of 128, 19 ms of 16)."""
_digests: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()
_folded: WeakKeyDictionary[nn.Module, nn.Module] = WeakKeyDictionary()


class Prefix:
    """The leading units of a network that do not change, ready to be run on their own: the frozen ones.

    With ``start`` they are all units in their untrained state; the network has to be in eval mode.

    Where it computes in 16 bits, batch norms are folded into the convolutions before them, which is 1.5 times as fast.
    In float32 they are not: it changes results by 1e-6, which later batch norms in training mode can amplify to 1e-4 of
    the loss within a few steps.
    """

    def __init__(self, network: Network, precision: Precision, *, start: bool = False) -> None:
        self.carried = (network.taps or (len(network.units) - 1,)) if start else network.carried
        """Units whose outputs are needed after the prefix; ``tapped`` if the head takes those of several units."""
        self.tapped = bool(network.taps)
        self._precision = precision
        self._modules = modules = list(network.units[: max(self.carried, default=-1) + 1])
        self.digests = tuple(_digest(module) for module in modules)
        self.macs = _macs(network, len(modules))
        """Multiply-adds of one input up to each unit, beginning with 0 for none."""
        is_cached = precision.device.type == "cpu"
        self._memory = MicroBatches(max(int(_PIECE / max(self.macs[-1], 1)), _FEWEST) if is_cached else None)
        self._ready: list[nn.Module] | None = None if precision.dtype else modules

    def __len__(self) -> int:
        return len(self._modules)

    def __call__(self, inputs: Tensor) -> Tensor | Maps:
        """Return the input of the network's suffix for the network's ``inputs``."""
        outputs = self.outputs(inputs, 0, self.carried)
        return outputs if self.tapped else outputs.tensors[0]

    @torch.no_grad()
    def outputs(self, inputs: Tensor, start: int, units: Sequence[int]) -> Maps:
        """Return the outputs of ``units`` for the output of the first ``start`` units; in pieces if memory runs out."""
        parts: list[Maps] = []
        if self._ready is None:  # most prefixes find all outputs in the cache
            self._ready = [_fold(module) for module in self._modules]
        modules = self._ready

        def run(slices: Iterator[slice]) -> None:
            parts.clear()
            for piece in slices:
                values = self._precision.place(inputs[piece])
                kept: list[Tensor] = []
                with self._precision.autocast():
                    for index in range(start, units[-1] + 1):
                        values = modules[index](values)
                        if index in units:
                            kept.append(values)
                parts.append(Maps(tuple(kept)))

        self._memory.run(len(inputs), run)
        return Maps(tuple(torch.cat(column) for column in zip(*parts, strict=True))) if len(parts) > 1 else parts[0]


def _macs(network: Network, units: int) -> tuple[int, ...]:
    shape = network.chain.input_shape
    total = [0]
    for module in network.units[:units]:
        counts = probe.run(module, shape)
        total.append(total[-1] + counts.macs)
        shape = counts.out_shape
    return tuple(total)


def _fold(module: nn.Module) -> nn.Module:
    """Return ``module`` with its batch norms folded, a copy; itself if it has none."""
    if not any(isinstance(part, nn.BatchNorm1d | nn.BatchNorm2d) for part in module.modules()):
        return module
    if any(parameter.requires_grad for parameter in module.parameters()):  # training will change it
        return _fold_copy(module)
    if module not in _folded:
        _folded[module] = _fold_copy(module)
    return _folded[module]


def _fold_copy(module: nn.Module) -> nn.Module:
    folded = copy.deepcopy(module)
    fold_batch_norms(folded)
    return folded


def _digest(module: nn.Module) -> str:
    """Return a hash of what ``module`` computes in eval mode: its structure, plain settings and weights."""
    learns = any(parameter.requires_grad for parameter in module.parameters())
    if learns or module not in _digests:
        digest = hashlib.sha256()
        for name, part in module.named_modules():
            settings = sorted(
                (key, repr(value))
                for key, value in vars(part).items()
                if key != "training" and isinstance(value, bool | int | float | str | tuple)
            )
            code = getattr(part, "code", "")
            digest.update(f"{name} {type(part).__qualname__} {settings} {part.extra_repr()} {code}\n".encode())
        for name, value in module.state_dict().items():
            digest.update(f"{name} {value.dtype} {tuple(value.shape)}\n".encode())
            digest.update(value.detach().cpu().contiguous().reshape(-1).view(torch.uint8).numpy().data)
        if learns:  # training will change it
            return digest.hexdigest()
        _digests[module] = digest.hexdigest()
    return _digests[module]


@dataclass(slots=True)
class Account:
    """How a trial used its prefix, for its record.

    Attributes:
        source: ``cached`` or ``recomputed``; ``why`` gives the reason if it was not cached.
        computed: number of images run through the prefix; ``reused``: of those whose output was already stored.
    """

    units: int
    views: int
    source: str = "cached"
    why: str = ""
    bytes_an_image: int = 0
    computed: int = 0
    reused: int = 0
    seconds: float = 0.0

    def to_json(self) -> dict[str, Json]:
        """Return it as plain data."""
        return {
            "units": self.units,
            "views": self.views,
            "source": self.source,
            "why": self.why,
            "bytes_an_image": self.bytes_an_image,
            "computed": self.computed,
            "reused": self.reused,
            "seconds": round(self.seconds, 4),
        }


@dataclass(slots=True, kw_only=True)
class FrozenLoader:
    """Batches of a frozen prefix's outputs.

    Outputs of several units are kept separately, each under the key of the prefix that ends there: so shallower
    prefixes of other trials find them, and each is computed from the one before it.

    Attributes:
        data: fingerprint of the data set of ``batches``; ``facts`` identify their frame; plain data.
        store: where outputs are kept; None recomputes them every epoch.
    """

    batches: Loader
    prefix: Prefix
    data: str
    facts: Sequence[Json]
    store: FeatureStore | None
    account: Account

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[Batch]:
        """Yield the prefix's output for the inputs of every batch of epoch ``number``, and their targets."""
        features, batches = self._features(number), self.batches
        if features is None and not batches.mixes_features:
            for inputs, targets in batches.epoch(number):
                yield self.prefix(inputs), targets
            return
        mixed = batches.mixing(number)
        for chosen in batches.order(number):
            taken = self._taken(features, chosen, number)
            targets = batches.targets(chosen, number)
            yield (taken, targets) if isinstance(taken, Maps) else mixed(taken, targets)

    def some(self, count: int) -> Iterator[Batch]:
        """Yield ``count`` samples as the first epoch views them, but unmixed: the prefix has run on them."""
        features = self._features(1)
        for chosen in torch.split(torch.cat(self.batches.order(1))[:count], self.batches.batch_size):
            yield self._taken(features, chosen, 1), self.batches.targets(chosen, 1)

    def _taken(self, features: Sequence[KeptFeatures] | None, chosen: Tensor, number: int) -> Tensor | Maps:
        """Return the prefix's output for the inputs ``chosen``, from ``features`` unless these are not kept."""
        batches = self.batches
        if features is None:
            return self.prefix(batches.inputs(chosen, number))
        extent = batches.extent(chosen)
        taken = tuple(one.take(chosen, batches.device, extent) for one in features)
        return Maps(taken) if self.prefix.tapped else taken[0]

    def _features(self, number: int) -> tuple[KeptFeatures, ...] | None:
        """Return the outputs for all inputs as epoch ``number`` views them; None if they are not worth keeping."""
        if not self.batches.parts:
            return self._own_features(number)
        parts, begin = list[tuple[StoredFeatures, ...]](), 0
        for part in self.batches.parts:
            samples = Stretch(self.batches, torch.arange(begin, begin + part.count))
            features = replace(self, batches=samples, data=part.fingerprint)._own_features(number)
            if features is None:
                return None
            parts.append(features)
            begin += part.count
        return tuple(JoinedFeatures(column) for column in zip(*parts, strict=True))

    def _own_features(self, number: int) -> tuple[StoredFeatures, ...] | None:
        """Return the same for the inputs of one data set."""
        store = self.store
        if store is None or self.account.source != "cached":
            return None
        keys = self._keys(self.batches.view(number))
        features = [store.find(keys[unit + 1]) for unit in self.prefix.carried]
        there = tuple(one for one in features if one is not None)
        if len(there) == len(features):
            self.account.bytes_an_image = sum(one.bytes_an_image for one in there)
            self.account.reused += self.batches.count
            return there
        begin = time.perf_counter()
        made = self._make(store, number, keys)
        self.account.seconds += time.perf_counter() - begin
        return made

    @property
    def key(self) -> str:
        """Identifies the prefix's output for the inputs as the first epoch views them."""
        return self._keys(self.batches.view(1))[-1]

    def _keys(self, view: int) -> list[str]:
        """Return the key of the inputs themselves, then of the output of every unit."""
        batches = self.batches
        seed = batches.views.seed if batches.views and batches.is_random else None
        facts = [_VERSION, self.data, *self.facts, *batches.facts, seed, view]
        facts += [batches.variation, str(self.store.layout if self.store else None)]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        keys = [key]
        for digest in self.prefix.digests:
            keys.append(hashlib.sha256(f"{keys[-1]}{digest}".encode()).hexdigest())
        return keys

    def _make(self, store: FeatureStore, number: int, keys: Sequence[str]) -> tuple[StoredFeatures, ...] | None:
        """Return the outputs of all carried units, computing missing ones; None if that does not pay off."""
        if self.prefix.tapped and self._why_not(store, number):
            return None
        made: list[StoredFeatures] = []
        for unit in self.prefix.carried:
            features = store.find(keys[unit + 1]) or self._made(store, number, keys[: unit + 2])
            if features is None:
                return None
            made.append(features)
        return tuple(made)

    def _why_not(self, store: FeatureStore, number: int) -> str:
        """Judge by the first batches whether the outputs of all carried units together are worth keeping."""
        parts = self._outputs(number, 0, None, self.prefix.carried)
        ready, took = _timed(parts)
        return self._judged(store, ready[0][1], took)

    def _judged(self, store: FeatureStore, sample: Tensor | Maps, seconds: float) -> str:
        """Return and log why keeping outputs like ``sample``, which take ``seconds`` per input, does not pay off."""
        account = self.account
        account.bytes_an_image = store.bytes_of(sample)
        account.why = store.why_not(self.batches.count * account.views, sample, seconds)
        if account.why:
            account.source = "recomputed"
            logger.info("prefix of %d units is not cached: %s", len(self.prefix), account.why)
        return account.why

    def _made(self, store: FeatureStore, number: int, keys: Sequence[str]) -> StoredFeatures | None:
        """Return the output of the unit that the last of ``keys`` belongs to, from the nearest available one below."""
        unit, account = len(keys) - 2, self.account
        start, below = self._nearest(store, keys)
        parts = self._outputs(number, start, below, (unit,))
        ready, took = _timed(parts)
        first = self._whole(ready[0][1].tensors[0])
        if not self.prefix.tapped:
            done = self.prefix.macs[-1] - self.prefix.macs[start]
            if self._judged(store, first, took * (self.prefix.macs[-1] / done if done else 1.0)):
                return None

        begun = [itertools.chain(ready, parts)]

        def fill(features: StoredFeatures) -> None:
            # Called again if the first place turns out to have no room: all are computed again.
            arriving = Arriving(features)
            for part, outputs in begun.pop() if begun else self._outputs(number, start, below, (unit,)):
                arriving.put(part, outputs.tensors[0])
            arriving.finish()
            account.computed += self.batches.count if unit == self.prefix.carried[-1] else 0

        made = store.make(keys[-1], self.batches.count, first, fill)
        if made is None:
            account.source, account.why = "recomputed", "there is no room for it"
        return made

    def _whole(self, outputs: Tensor) -> Tensor:
        """Return a stand-in of the shape that ``outputs`` have for inputs as long as the longest of all."""
        extent = self.batches.extent(torch.arange(self.batches.count))
        if extent is None or outputs.ndim < 2 or outputs.shape[1] == extent:
            return outputs
        return outputs.new_empty(1, 1, *outputs.shape[2:]).expand(len(outputs), extent, *outputs.shape[2:])

    def _nearest(self, store: FeatureStore, keys: Sequence[str]) -> tuple[int, StoredFeatures | None]:
        for start in range(len(keys) - 2, 0, -1):
            stored = store.find(keys[start])
            if stored is not None:
                return start, stored
        return 0, None

    def _outputs(
        self, number: int, start: int, below: StoredFeatures | None, units: Sequence[int]
    ) -> Iterator[tuple[slice, Maps]]:
        batches = self.batches
        if below is None:
            for part, inputs in batches.every(number, batches.batch_size):
                yield part, self.prefix.outputs(inputs, 0, units)
            return
        for chosen in torch.arange(batches.count).split(batches.batch_size):  # type: ignore[no-untyped-call]
            part = slice(int(chosen[0]), int(chosen[-1]) + 1)
            taken = below.take(chosen, batches.device, batches.extent(chosen))
            yield part, self.prefix.outputs(taken, start, units)


def _timed(parts: Iterator[tuple[slice, Maps]]) -> tuple[list[tuple[slice, Maps]], float]:
    """Return the first two parts and the seconds per image of the second: the first is a warm-up."""
    ready: list[tuple[slice, Maps]] = []
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        part = next(parts, None)
        if part is None:
            break
        first = part[1].tensors[0]
        if first.is_cuda:
            torch.cuda.synchronize(first.device)
        seconds = (time.perf_counter() - begin) / len(part[1])
        ready.append(part)
    return ready, seconds


def merged(accounts: Sequence[Account]) -> Mapping[str, Json]:
    """Return the accounts of training and validation as one fact of the trial."""
    return {"prefix": {name: account.to_json() for name, account in zip(("train", "val"), accounts, strict=False)}}
