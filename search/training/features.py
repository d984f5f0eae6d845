"""Frozen once: the output of a frozen prefix, computed for a fixed set of views and kept for epochs and trials.

What identifies it is a chain of hashes, one a unit: of the data and how it is viewed, then of each unit's code and
weights as they are. So any edit inside the prefix, by whatever decision, makes another key, and a prefix finds the
output of every shallower one that begins in the same way.
"""

from __future__ import annotations

import hashlib
import itertools
import json
import logging
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from search.data.batches import Batches
from search.records import Json
from search.training.keeping import Features, FeatureStore
from search.training.memory import MicroBatches
from search.training.precision import Precision
from spaces import probe
from spaces.build import Network

logger = logging.getLogger(__name__)
_VERSION = 1
_digests: WeakKeyDictionary[nn.Module, str] = WeakKeyDictionary()


class Prefix:
    """The frozen leading units of a network, ready to be run on their own.

    Batch norms are not folded into convolutions: that is quicker, but rounds differently by 1e-6, which batch
    norms in training mode behind it can amplify to 1e-4 of a loss within a few steps.
    """

    def __init__(self, network: Network, precision: Precision) -> None:
        modules = list(network.units[: network.prefix_units])
        self._precision = precision
        self._memory = MicroBatches()
        self._modules = modules
        self.digests = tuple(_digest(module) for module in modules)
        self.macs = _macs(network)
        """Multiply-adds of one input up to each unit, from 0 for none."""

    def __len__(self) -> int:
        return len(self._modules)

    @torch.no_grad()
    def __call__(self, inputs: Tensor, start: int = 0) -> Tensor:
        """Return the prefix's output for what its first ``start`` units give; in pieces when memory runs out."""
        found: list[Tensor] = []

        def run(slices: Iterator[slice]) -> None:
            found.clear()
            for piece in slices:
                values = self._precision.place(inputs[piece])
                with self._precision.autocast():
                    for module in self._modules[start:]:
                        values = module(values)
                found.append(values)

        self._memory.run(len(inputs), run)
        return found[0] if len(found) == 1 else torch.cat(found)


def _macs(network: Network) -> tuple[int, ...]:
    shape = network.chain.input_shape
    total = [0]
    for module in network.units[: network.prefix_units]:
        found = probe.run(module, shape)
        total.append(total[-1] + found.macs)
        shape = found.out_shape
    return tuple(total)


def _digest(module: nn.Module) -> str:
    """Return a hash of what ``module`` computes in eval mode: its structure, plain settings and weights."""
    if module not in _digests:
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
        _digests[module] = digest.hexdigest()
    return _digests[module]


@dataclass(slots=True)
class Account:
    """What became of a prefix in one trial, for its record.

    Attributes:
        source: ``cached`` or ``recomputed``; ``why`` says more when it was not cached.
        computed: images that went through the prefix; ``reused`` those whose output was there already.
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
class FrozenBatches:
    """Batches as they come out of a frozen prefix.

    Attributes:
        facts: identify data and frame of ``batches``; plain data.
        store: where outputs are kept; None computes them anew every epoch.
    """

    batches: Batches
    prefix: Prefix
    facts: Sequence[Json]
    store: FeatureStore | None
    account: Account

    def __len__(self) -> int:
        return len(self.batches)

    def epoch(self, number: int) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield the prefix's output for the images of every batch of epoch ``number``, and their labels."""
        features = self._features(number)
        if features is None:
            for images, labels in self.batches.epoch(number):
                yield self.prefix(images), labels
            return
        device = self.batches.device
        for chosen in self.batches.order(number):
            yield features.take(chosen, device), self.batches.labels(chosen)

    def _features(self, number: int) -> Features | None:
        """Return the output for all images as epoch ``number`` views them; None when it is not worth keeping."""
        if self.store is None or self.account.source != "cached":
            return None
        keys = self._keys(self.batches.view(number))
        found = self.store.find(keys[-1])
        if found is not None:
            self.account.bytes_an_image = found.bytes_an_image
            self.account.reused += len(self.batches.pixels)
            return found
        begin = time.perf_counter()
        made = self._make(number, keys)
        self.account.seconds += time.perf_counter() - begin
        return made

    def _keys(self, view: int) -> list[str]:
        """Return the key of the images themselves, then of the output of every unit."""
        batches = self.batches
        seed = batches.views.seed if batches.views and batches.augmentation else None
        facts = [_VERSION, *self.facts, batches.size, batches.resize, batches.mean, batches.std, seed, view]
        facts += [repr(batches.augmentation), str(self.store.layout if self.store else None)]
        key = hashlib.sha256(json.dumps(facts).encode()).hexdigest()
        keys = [key]
        for digest in self.prefix.digests:
            keys.append(hashlib.sha256(f"{keys[-1]}{digest}".encode()).hexdigest())
        return keys

    def _make(self, number: int, keys: Sequence[str]) -> Features | None:
        store = self.store
        if store is None:
            return None
        start, below = self._nearest(store, keys)
        parts = self._outputs(number, start, below)
        ready, took = _timed(parts)
        first = ready[0][1]
        done = self.prefix.macs[-1] - self.prefix.macs[start]
        whole = took * (self.prefix.macs[-1] / done if done else 1.0)
        count, account = len(self.batches.pixels), self.account
        account.bytes_an_image = store.bytes_of(first)
        account.why = store.why_not(count * account.views, first, whole)
        if account.why:
            account.source = "recomputed"
            logger.info("prefix of %d units is not cached: %s", len(self.prefix), account.why)
            return None

        def fill(features: Features) -> None:
            for part, outputs in itertools.chain(ready, parts):
                features.put(part, outputs)
            account.computed += count

        made = store.make(keys[-1], count, first, fill)
        if made is None:
            account.source, account.why = "recomputed", "there is no room for it"
        return made

    def _nearest(self, store: FeatureStore, keys: Sequence[str]) -> tuple[int, Features | None]:
        for start in range(len(self.prefix) - 1, 0, -1):
            found = store.find(keys[start])
            if found is not None:
                return start, found
        return 0, None

    def _outputs(self, number: int, start: int, below: Features | None) -> Iterator[tuple[slice, Tensor]]:
        batches = self.batches
        if below is None:
            for part, images in batches.images(number, batches.batch_size):
                yield part, self.prefix(images)
            return
        for chosen in torch.arange(len(batches.pixels)).split(batches.batch_size):  # type: ignore[no-untyped-call]
            part = slice(int(chosen[0]), int(chosen[-1]) + 1)
            yield part, self.prefix(below.take(chosen, batches.device), start)


def _timed(parts: Iterator[tuple[slice, Tensor]]) -> tuple[list[tuple[slice, Tensor]], float]:
    """Return the first two parts and the seconds that one image of the second took: the first warms up."""
    ready: list[tuple[slice, Tensor]] = []
    seconds = 0.0
    for _ in range(2):
        begin = time.perf_counter()
        part = next(parts, None)
        if part is None:
            break
        if part[1].is_cuda:
            torch.cuda.synchronize(part[1].device)
        seconds = (time.perf_counter() - begin) / len(part[1])
        ready.append(part)
    return ready, seconds


def merged(accounts: Sequence[Account]) -> Mapping[str, Json]:
    """Return the accounts of training and validation as one fact of a trial."""
    return {"prefix": {name: account.to_json() for name, account in zip(("train", "val"), accounts, strict=False)}}
