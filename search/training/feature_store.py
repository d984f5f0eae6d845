"""The feature cache: device memory, host memory and disk, each with a budget; the least recently used are evicted."""

from __future__ import annotations

import logging
import tempfile
import time
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from search.data import array_cache
from search.data.array_cache import Array, ArrayCache, Facts
from search.data.batches import gather
from search.data.transfer import sent
from search.training.memory_budget import Budgets
from spaces.heads import Maps

logger = logging.getLogger(__name__)
_NUMPY = {torch.float32: np.float32, torch.float16: np.float16, torch.bfloat16: np.uint16}
_TRIED_BYTES = 16 << 20


@dataclass(frozen=True, slots=True)
class StoredFeatures:
    """The output of a prefix for every image of a split.

    Attributes:
        rows: ``(N, *shape)``; images in channels-last layout are stored as ``(N, H, W, C)``.
        dtype: the type in which they are returned.
    """

    rows: Tensor
    channels_last: bool
    dtype: torch.dtype

    @property
    def bytes_an_image(self) -> int:
        return self.rows[0].nbytes

    def put(self, part: slice, outputs: Tensor) -> None:
        """Store the outputs of the images in ``part``; a shorter second axis (tokens) is padded with 0."""
        rows = self.rows[part]
        if not self.channels_last and outputs.ndim > 1 and outputs.shape[1] < rows.shape[1]:
            rows[:, outputs.shape[1] :] = 0
            rows = rows[:, : outputs.shape[1]]
        rows.copy_(outputs.permute(0, 2, 3, 1) if self.channels_last else outputs)

    def take(self, chosen: Tensor, device: torch.device, extent: int | None = None) -> Tensor:
        """Return the features of the images ``chosen``, on ``device``; only the first ``extent`` tokens."""
        rows = self.rows if extent is None else self.rows[:, :extent]
        taken = gather(rows, chosen, device).to(self.dtype)
        return taken.permute(0, 3, 1, 2) if self.channels_last else taken

    def at(self, device: torch.device) -> StoredFeatures:
        """Return the same features in the memory of ``device``."""
        return StoredFeatures(self.rows.to(device), self.channels_last, self.dtype)

    def pinned(self) -> StoredFeatures:
        """Return the same features in pinned host memory."""
        return StoredFeatures(self.rows.cpu().pin_memory(), self.channels_last, self.dtype)


@dataclass(slots=True)
class Arriving:
    """Stores outputs of a GPU on the host one batch late: it computes the next one while the last one is copied."""

    features: StoredFeatures
    _last: tuple[slice, Tensor, torch.cuda.Event] | None = field(init=False, default=None)

    def put(self, part: slice, outputs: Tensor) -> None:
        """Store the outputs of the images in ``part``, now or by the time ``finish`` returns."""
        if not outputs.is_cuda or self.features.rows.is_cuda:
            self.features.put(part, outputs)
            return
        staged = torch.empty_like(outputs, device="cpu", pin_memory=True).copy_(outputs, non_blocking=True)
        copied = torch.cuda.Event()  # type: ignore[no-untyped-call]
        copied.record(torch.cuda.current_stream(outputs.device))
        self.finish()
        self._last = part, staged, copied

    def finish(self) -> None:
        """Store what has not been stored yet."""
        if self._last is not None:
            part, staged, copied = self._last
            copied.synchronize()
            self.features.put(part, staged)
            self._last = None


@dataclass(frozen=True, slots=True)
class JoinedFeatures:
    """The output of a prefix for the images of several data sets, one after the other, each stored by itself."""

    parts: tuple[StoredFeatures, ...]

    @property
    def bytes_an_image(self) -> int:
        return self.parts[0].bytes_an_image

    def take(self, chosen: Tensor, device: torch.device, extent: int | None = None) -> Tensor:
        """Return the features of the images ``chosen``, as one that stores them all does."""
        ends = torch.tensor([len(part.rows) for part in self.parts]).cumsum(0)
        owner = torch.bucketize(chosen, ends, right=True)
        taken = []
        for place, part in enumerate(self.parts):
            own = chosen[owner == place]
            if len(own):
                taken.append(part.take(own - (int(ends[place]) - len(part.rows)), device, extent))
        if len(taken) == 1:
            return taken[0]
        # They come sorted by part: each goes back to its place in the batch.
        return torch.cat(taken)[sent(owner.argsort(stable=True).argsort(), device)]


KeptFeatures = StoredFeatures | JoinedFeatures


class _Layer:
    """Features by key in one kind of memory."""

    def __init__(self, budget: int) -> None:
        self.budget = budget
        self._held: OrderedDict[str, StoredFeatures] = OrderedDict()

    def find(self, key: str) -> StoredFeatures | None:
        if key in self._held:
            self._held.move_to_end(key)
        return self._held.get(key)

    def takes(self, size: int) -> bool:
        return size <= self.budget

    def add(self, key: str, features: StoredFeatures) -> list[tuple[str, StoredFeatures]]:
        """Add ``features``; return those evicted for them."""
        self._held[key] = features
        left = []
        while self.used > self.budget and len(self._held) > 1:
            left.append(self._held.popitem(last=False))
        return left

    @property
    def used(self) -> int:
        return sum(features.rows.nbytes for features in self._held.values())


class FeatureStore:
    """Features of all prefixes of a study on one device, shared with other processes through the disk.

    On the CPU the mapped files are the host memory: nothing is held twice.

    Attributes:
        layout: type in which features are stored; None keeps the computed one.
    """

    def __init__(
        self, device: torch.device, folder: Path | None, budgets: Budgets, layout: torch.dtype | None = None
    ) -> None:
        self.layout = layout
        self._device = device
        self._budgets = budgets
        self._on_device = _Layer(budgets.device)
        self._on_host = _Layer(budgets.host)
        self._arrays = ArrayCache(folder, budgets.disk) if folder is not None and budgets.disk else None

    def find(self, key: str) -> StoredFeatures | None:
        """Return the features called ``key`` from the fastest memory that has them; None if none has."""
        stored_features = self._on_device.find(key)
        if stored_features is not None:
            return stored_features
        stored_features = self._on_host.find(key)
        if stored_features is None and self._arrays is not None:
            stored = self._arrays.find(key)
            stored_features = None if stored is None else self._kept(key, _features(*stored), on_disk=True)
        return stored_features

    def make(
        self, key: str, count: int, sample: Tensor, fill: Callable[[StoredFeatures], None]
    ) -> StoredFeatures | None:
        """Return features of ``count`` images, shaped like those of the batch ``sample``; ``fill`` writes them all.

        One process writes them while others that need the same wait for it. None if there is no room anywhere. ``fill``
        is called again, with another place, if the disk turns out to be full.
        """
        flat = _is_channels_last(sample)
        shape = (count, *(sample.permute(0, 2, 3, 1) if flat else sample).shape[1:])
        layout = self.layout or sample.dtype
        facts = {"channels_last": flat, "stored": str(layout), "dtype": str(sample.dtype)}
        size = count * self.bytes_of(sample)
        if self._arrays is not None and size <= self._budgets.disk:

            def write(array: Array) -> Facts:
                fill(_features(array, facts))
                return facts

            try:
                return self._kept(key, _features(*self._arrays.make(key, shape, _NUMPY[layout], write)), on_disk=True)
            except OSError as error:
                reason = array_cache.why(error)
                logger.warning("features cannot be cached in %s (%s): memory only", self._arrays.folder, reason)
                self._arrays = None
        if not (self._on_host.takes(size) or self._on_device.takes(size)):
            return None
        made = StoredFeatures(torch.empty(shape, dtype=layout), flat, sample.dtype)
        fill(made)
        return self._kept(key, made, on_disk=False)

    def _kept(self, key: str, features: StoredFeatures, *, on_disk: bool) -> StoredFeatures:
        size = features.rows.nbytes
        if self._device.type == "cuda" and self._on_device.takes(size):
            moved = features.at(self._device)
            for name, left in self._on_device.add(key, moved):
                if self._on_host.takes(left.rows.nbytes):
                    self._on_host.add(name, left.pinned())
            return moved
        if self._device.type == "cuda" and on_disk and self._on_host.takes(size):
            features = features.pinned()
        if self._on_host.takes(size):
            self._on_host.add(key, features)
        return features

    def bytes_of(self, sample: Tensor | Maps) -> int:
        """Return the bytes that one image of the batch ``sample`` takes in this store."""
        tensors = (sample,) if isinstance(sample, Tensor) else sample.tensors
        return sum(tensor[0].numel() * (self.layout or tensor.dtype).itemsize for tensor in tensors)

    def why_not(self, images: int, sample: Tensor | Maps, seconds_an_image: float) -> str:
        """Return why caching ``images`` outputs like ``sample`` does not pay off; empty if it does.

        It pays off if reading an output takes less than ``seconds_an_image``, measured in the memory with room for all.
        """
        size = self.bytes_of(sample)
        whole = images * size
        if self._on_device.takes(whole):
            return ""
        if self._on_host.takes(whole):
            speed = copy_speed()
        elif self._arrays is not None and whole <= self._budgets.disk:
            speed = disk_speed(self._arrays.folder)
        else:
            return f"{whole / 2**20:.0f} MB are more than the budgets allow"
        reading = size / speed
        if reading < seconds_an_image:
            return ""
        times = f"{reading * 1e3:.3f} ms, computing them {seconds_an_image * 1e3:.3f} ms"
        return f"reading an image's {size / 2**20:.2f} MB takes {times}"


@cache
def copy_speed() -> float:
    """Return the measured speed of copying host memory, in bytes per second."""
    block = torch.empty(_TRIED_BYTES, dtype=torch.uint8)
    block.clone()
    begin = time.perf_counter()
    block.clone()
    return _TRIED_BYTES / (time.perf_counter() - begin)


@cache
def disk_speed(folder: Path) -> float:
    """Return the bytes per second of writing a file to ``folder`` and reading it, measured once; 1 on failure."""
    block = bytes(_TRIED_BYTES)
    begin = time.perf_counter()
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder) as file:
            file.write(block)
            file.flush()
            file.seek(0)
            file.read()
    except OSError:
        return 1.0
    return _TRIED_BYTES / (time.perf_counter() - begin)


def _features(array: Array, facts: Facts) -> StoredFeatures:
    rows = torch.from_numpy(array)
    stored = _dtype(facts["stored"])
    return StoredFeatures(
        rows.view(stored) if rows.dtype is not stored else rows, facts["channels_last"], _dtype(facts["dtype"])
    )


def _dtype(name: str) -> torch.dtype:
    dtype: torch.dtype = getattr(torch, name.removeprefix("torch."))
    return dtype


def _is_channels_last(sample: Tensor) -> bool:
    return sample.ndim == 4 and not sample.is_contiguous() and sample.is_contiguous(memory_format=torch.channels_last)
