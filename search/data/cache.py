"""Decode once: images as one memory-mapped uint8 array on disk, shared by all processes of the machine."""

from __future__ import annotations

import errno
import hashlib
import json
import logging
import os
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from filelock import FileLock
from numpy.typing import NDArray
from PIL import Image
from torch import Tensor

from search.data.assembly import in_parallel
from search.data.sample import Sample

logger = logging.getLogger(__name__)
_VERSION = 1
_BLOCK, _BLOCKS = 1 << 16, 64
_RESAMPLING = {"bilinear": Image.Resampling.BILINEAR, "bicubic": Image.Resampling.BICUBIC}


@dataclass(frozen=True, slots=True)
class Frame:
    """How images become arrays of one size.

    Attributes:
        size: height and width of the network's input; ``resize`` what the shorter side is scaled to before
            the centre is cut out (validation), and the size of the canvas (training), in the same order.
        whole: keep the whole image, squashed to ``resize``: random crops are drawn from it later. False cuts
            the centre exactly as torchvision's evaluation transform does.
    """

    size: tuple[int, int]
    resize: tuple[int, int]
    interpolation: str
    whole: bool

    @property
    def shape(self) -> tuple[int, int]:
        return self.resize if self.whole else self.size

    def render(self, image: Image.Image) -> NDArray[np.uint8]:
        """Return ``image`` as ``(3, H, W)``."""
        method = _RESAMPLING.get(self.interpolation, Image.Resampling.BILINEAR)
        height, width = self.shape
        if self.whole:
            image = image.resize((width, height), method)
        else:
            scale = max(self.resize[0] / image.height, self.resize[1] / image.width)
            scaled = (max(int(image.width * scale), width), max(int(image.height * scale), height))
            image = image.resize(scaled, method)
            left, top = round((image.width - width) / 2), round((image.height - height) / 2)
            image = image.crop((left, top, left + width, top + height))
        return np.ascontiguousarray(np.asarray(image).transpose(2, 0, 1))


@dataclass(frozen=True, slots=True)
class Pixels:
    """Decoded images of one split.

    Attributes:
        images: ``(N, 3, H, W)`` uint8, possibly a memory map that must not be written to.
        labels: ``(N,)`` int64.
        ratios: ``(N,)`` float32, width over height of the original image divided by that of the canvas.
    """

    images: Tensor
    labels: Tensor
    ratios: Tensor

    def __len__(self) -> int:
        return len(self.labels)


def decode(
    samples: Sequence[Sample], frame: Frame, fingerprint: str, folder: Path | None, budget_bytes: int | None = None
) -> Pixels:
    """Return the images of ``samples`` in the given frame; from the cache in ``folder`` when it has them.

    ``fingerprint`` identifies content and order of ``samples``. However many processes ask at once, one
    decodes and the others wait. With no folder, or when it cannot be written, images stay in memory.
    """
    labels = torch.tensor([sample.label for sample in samples], dtype=torch.int64)
    if folder is None:
        images, ratios = _render(samples, frame, _in_memory)
        return Pixels(torch.from_numpy(images), labels, torch.from_numpy(ratios))
    facts = json.dumps(
        [_VERSION, fingerprint, len(samples), frame.size, frame.resize, frame.interpolation, frame.whole]
    )
    path = folder / f"{hashlib.sha256(facts.encode()).hexdigest()[:32]}.npy"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with FileLock(f"{path}.lock"):
            if not _is_whole(path):
                _write(path, samples, frame)
                _evict(folder, path, budget_bytes)
        os.utime(path)
    except OSError as error:
        reason = "the disk is full" if error.errno == errno.ENOSPC else error.strerror or str(error)
        logger.warning("decoded images cannot be cached in %s (%s): keeping them in memory", folder, reason)
        return decode(samples, frame, fingerprint, None)
    ratios = np.array(json.loads(_meta(path).read_text())["ratios"], dtype=np.float32)
    # A private mapping: torch wants writable memory, and nothing written would ever reach the file.
    return Pixels(torch.from_numpy(np.load(path, mmap_mode="c")), labels, torch.from_numpy(ratios))


Allocate = Callable[[tuple[int, ...]], NDArray[np.uint8]]


def _in_memory(shape: tuple[int, ...]) -> NDArray[np.uint8]:
    return np.empty(shape, dtype=np.uint8)


def _render(
    samples: Sequence[Sample], frame: Frame, allocate: Allocate
) -> tuple[NDArray[np.uint8], NDArray[np.float32]]:
    images = allocate((len(samples), 3, *frame.shape))
    ratios = np.empty(len(samples), dtype=np.float32)
    canvas = frame.shape[1] / frame.shape[0]

    def put(place: int) -> None:
        image = samples[place].image.open()
        images[place] = frame.render(image)
        ratios[place] = image.width / image.height / canvas

    in_parallel(put, range(len(samples)))
    return images, ratios


def _write(path: Path, samples: Sequence[Sample], frame: Frame) -> None:
    shape = (len(samples), 3, *frame.shape)
    handle, name = tempfile.mkstemp(dir=path.parent, prefix=".partial-", suffix=".npy")
    temporary = Path(name)
    try:
        # Reserve the space first: writing to a mapping on a full disk would kill the process.
        os.posix_fallocate(handle, 0, int(np.prod(shape)) + 4096)
        os.close(handle)

        def mapped(wanted: tuple[int, ...]) -> NDArray[np.uint8]:
            return np.lib.format.open_memmap(temporary, mode="w+", dtype=np.uint8, shape=wanted)

        images, ratios = _render(samples, frame, mapped)
        if isinstance(images, np.memmap):
            images.flush()
        meta = {
            "bytes": temporary.stat().st_size,
            "check": _check(temporary),
            "ratios": [float(ratio) for ratio in ratios],
        }
        temporary.replace(path)
        _meta(path).write_text(json.dumps(meta))
    finally:
        temporary.unlink(missing_ok=True)


def _meta(path: Path) -> Path:
    return path.with_suffix(".json")


def _is_whole(path: Path) -> bool:
    """Return whether the cached file is there with the content it was written with (size and 64 blocks of it)."""
    try:
        meta = json.loads(_meta(path).read_text())
        return bool(path.stat().st_size == meta["bytes"] and _check(path) == meta["check"])
    except (OSError, ValueError, KeyError, TypeError):
        return False


def _check(path: Path) -> str:
    size = path.stat().st_size
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in range(_BLOCKS):
            file.seek(size * block // _BLOCKS)
            digest.update(file.read(_BLOCK))
    return digest.hexdigest()


def _evict(folder: Path, keep: Path, budget_bytes: int | None) -> None:
    """Remove the files that were not opened for longest until the budget (a quarter of the disk) is kept."""
    budget = budget_bytes if budget_bytes is not None else shutil.disk_usage(folder).total // 4
    files = sorted(folder.glob("*.npy"), key=lambda path: path.stat().st_mtime)
    total = sum(path.stat().st_size for path in files)
    for path in files:
        if total <= budget:
            return
        if path != keep and not path.name.startswith("."):
            total -= path.stat().st_size
            for part in (path, _meta(path)):
                part.unlink(missing_ok=True)
