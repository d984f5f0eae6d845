from __future__ import annotations

import errno
import time
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image
from torchvision.transforms import functional as reference

from search.data import array_cache, cache
from search.data.cache import Frame, decode
from search.data.formats.image_folder import Options
from search.data.formats.image_folder import format as image_folder
from search.data.sample import Sample

EVALUATION = Frame((16, 12), (18, 14), "bilinear", whole=False)
TRAINING = Frame((16, 12), (18, 14), "bilinear", whole=True)


@pytest.fixture
def samples(folder: Path) -> tuple[Sample, ...]:
    return image_folder.read(Options(str(folder)), Path("/")).samples


@pytest.mark.parametrize("frame", [EVALUATION, TRAINING])
def test_cached_images_are_those_decoded_in_memory(samples: tuple[Sample, ...], tmp_path: Path, frame: Frame) -> None:
    fresh = decode(samples, frame, "x", None)
    for _ in range(2):
        cached = decode(samples, frame, "x", tmp_path / "cache")
        assert torch.equal(cached.images, fresh.images)
        assert torch.equal(cached.ratios, fresh.ratios)
        assert cached.images.shape == (36, 3, *frame.shape)


def test_evaluation_is_cut_as_torchvision_cuts(samples: tuple[Sample, ...]) -> None:
    frame = Frame((14, 14), (16, 16), "bilinear", whole=False)
    image = samples[0].input.open()
    expected = reference.center_crop(reference.resize(image, [16]), [14, 14])
    assert np.array_equal(frame.render(image), np.asarray(expected).transpose(2, 0, 1))


def test_a_second_opening_decodes_nothing(
    samples: tuple[Sample, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    decode(samples, EVALUATION, "x", tmp_path)
    monkeypatch.setattr(cache, "_render", lambda *_: pytest.fail("decoded again"))
    decode(samples, EVALUATION, "x", tmp_path)


def test_a_damaged_file_is_made_again(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    expected = decode(samples, EVALUATION, "x", tmp_path).images.clone()
    (path,) = tmp_path.glob("*.npy")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 255
    path.write_bytes(content)
    assert torch.equal(decode(samples, EVALUATION, "x", tmp_path).images, expected)


def test_a_full_disk_keeps_images_in_memory(
    samples: tuple[Sample, ...], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_cache.os, "posix_fallocate", full)
    assert len(decode(samples, EVALUATION, "x", tmp_path)) == 36
    assert "the disk is full" in caplog.text
    assert not list(tmp_path.glob("*.npy"))


def test_what_was_not_used_for_longest_leaves_first(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    for name in ("a", "b", "c"):
        decode(samples, EVALUATION, name, tmp_path)
    size = next(tmp_path.glob("*.npy")).stat().st_size
    decode(samples, EVALUATION, "d", tmp_path, budget_bytes=2 * size)
    assert len(list(tmp_path.glob("*.npy"))) == 2


PROGRAM = """
import multiprocessing, sys
from pathlib import Path
from typing import Any
from search.data.cache import Frame, decode
from search.data.formats.image_folder import Options, format
samples = format.read(Options(sys.argv[1]), Path("/")).samples

def run():
    pixels = decode(samples, Frame((16, 12), (18, 14), "bilinear", whole=True), "x", Path(sys.argv[2]))
    print(f"{int(pixels.images.sum())}\\n", end="", flush=True)

workers = [multiprocessing.get_context("fork").Process(target=run) for _ in range(3)]
for worker in workers:
    worker.start()
for worker in workers:
    worker.join()
"""


def test_processes_that_start_at_once_share_one_file(
    folder: Path, tmp_path: Path, start_program: Callable[..., BaseProcess]
) -> None:
    start_program(PROGRAM, folder, tmp_path / "shared", output=tmp_path / "sums.txt").join()
    sums = (tmp_path / "sums.txt").read_text().split()
    assert len(sums) == 3
    assert len(set(sums)) == 1
    assert len(list((tmp_path / "shared").glob("*.npy"))) == 1


def test_decoding_reports_its_progress(samples: tuple[Sample, ...], tmp_path: Path) -> None:
    told: list[tuple[int, int]] = []

    def slowly(done: int, total: int) -> None:
        time.sleep(0.2 if done == 16 else 0)
        told.append((done, total))

    for _ in range(2):
        decode(samples, EVALUATION, "x", tmp_path, progress=slowly)
    assert told == [(16, 36), (32, 36), (36, 36)], "in order, whichever thread is late"


def test_of_a_long_narrow_image_only_the_centre_is_scaled(monkeypatch: pytest.MonkeyPatch) -> None:
    pixels = np.random.default_rng(0).integers(0, 256, (900, 5, 3), dtype=np.uint8)
    for image in (Image.fromarray(pixels), Image.fromarray(np.ascontiguousarray(pixels.transpose(1, 0, 2)))):
        for method in (Image.Resampling.BILINEAR, Image.Resampling.BICUBIC):
            whole = np.asarray(cache.centre(image, (40, 44), (32, 36), method), dtype=int)
            with monkeypatch.context() as patched:
                patched.setattr(cache, "_MOST_SCALED", 0)
                part = np.asarray(cache.centre(image, (40, 44), (32, 36), method), dtype=int)
            assert whole.shape == (32, 36, 3)
            # Pillow takes the corners of a part as 32-bit numbers.
            assert np.abs(part - whole).mean() < 0.5
            assert np.abs(part - whole).max() < 8


def test_an_enormous_scaling_is_never_made(monkeypatch: pytest.MonkeyPatch) -> None:
    sizes = []
    plain = Image.Image.resize

    def noted(self: Image.Image, size: tuple[int, int], *more: Any, **named: Any) -> Image.Image:
        sizes.append(size)
        return plain(self, size, *more, **named)

    monkeypatch.setattr(Image.Image, "resize", noted)
    frame = cache.Frame((224, 224), (256, 256), "bicubic", whole=False)
    for size in ((2, 20000), (20000, 2), (1, 60000)):
        assert frame.render(Image.new("RGB", size)).shape == (3, 224, 224)
    assert max(width * height for width, height in sizes) < 2_000_000
