from __future__ import annotations

import contextlib
import io
import random
import struct
import threading
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageOps, TiffImagePlugin

from search.data import decoding
from search.data.decoding import LARGE, Memory, levels_of, orientation, read, to_rgb, upright_size

PIXELS = np.random.default_rng(0).integers(0, 256, (64, 96, 3), dtype=np.uint8)
ODD = pytest.mark.filterwarnings("ignore::UserWarning:PIL")
UPRIGHT = Image.fromarray(PIXELS)
STORED = {  # how an upright picture is stored in a file that says so: EXIF 2.32, 4.6.4 A, tag 274
    1: lambda array: array,
    2: lambda array: array[:, ::-1],
    3: lambda array: array[::-1, ::-1],
    4: lambda array: array[::-1],
    5: lambda array: array.transpose(1, 0, 2),
    6: lambda array: array.transpose(1, 0, 2)[::-1],
    7: lambda array: array.transpose(1, 0, 2)[::-1, ::-1],
    8: lambda array: array.transpose(1, 0, 2)[:, ::-1],
}
XMP = '<x:xmpmeta xmlns:x="adobe:ns:meta/"><rdf:Description tiff:Orientation="{}"/></x:xmpmeta>'


def lying(path: Path, number: int, **options: Any) -> Path:
    """Write the picture as a camera does that was held another way."""
    image = Image.fromarray(np.ascontiguousarray(STORED[number](PIXELS)))
    if path.suffix == ".tif":
        tags = TiffImagePlugin.ImageFileDirectory_v2()
        tags[274] = number
        image.save(path, tiffinfo=tags, **options)
    else:
        exif = Image.Exif()
        exif[274] = number
        image.save(path, exif=exif, **options)
    return path


@pytest.mark.parametrize("number", STORED)
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("a.tif", {}),
        ("a.tif", {"compression": "tiff_lzw"}),
        ("a.tif", {"compression": "tiff_deflate"}),
        ("a.png", {}),
        ("a.webp", {"lossless": True}),
    ],
)
def test_a_picture_is_upright_once_whatever_its_file_says(
    tmp_path: Path, name: str, options: dict[str, Any], number: int
) -> None:
    path = lying(tmp_path / name, number, **options)
    assert upright_size(path) == UPRIGHT.size
    assert (np.asarray(read(path)) == PIXELS).all()


@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("mode", ["L", "P", "RGBA", "CMYK", "I;16", "F", "1"])
def test_a_tiff_of_any_mode_is_upright_once(tmp_path: Path, mode: str, number: int) -> None:
    """Pillow maps uncompressed files of some modes into memory, and then does not turn them."""
    grey = Image.fromarray(np.arange(0, 240, 10, dtype=np.uint8).reshape(4, 6))
    tags = TiffImagePlugin.ImageFileDirectory_v2()
    tags[274] = number
    grey.convert(mode).save(tmp_path / "a.tif", tiffinfo=tags)
    grey.convert(mode).save(tmp_path / "plain.tif")
    wanted = np.rot90(np.asarray(read(tmp_path / "plain.tif")), {3: 2, 6: -1}[number])
    assert (np.asarray(read(tmp_path / "a.tif")) == wanted).all()
    assert upright_size(tmp_path / "a.tif") == read(tmp_path / "a.tif").size


@pytest.mark.parametrize("number", STORED)
def test_jpeg_and_a_reader_of_its_own_agree(tmp_path: Path, number: int) -> None:
    path = lying(tmp_path / "a.jpg", number, quality=95)
    assert upright_size(path) == UPRIGHT.size
    with Image.open(path) as image:
        assert (np.asarray(read(path)) == np.asarray(ImageOps.exif_transpose(image))).all()


@pytest.mark.parametrize("number", [3, 6])
@pytest.mark.parametrize("name", ["a.png", "a.jpg", "a.webp"])
def test_xmp_says_it_too(tmp_path: Path, name: str, number: int) -> None:
    image = Image.fromarray(np.ascontiguousarray(STORED[number](PIXELS)))
    if name == "a.png":
        from PIL.PngImagePlugin import PngInfo

        info = PngInfo()
        info.add_itxt("XML:com.adobe.xmp", XMP.format(number))
        image.save(tmp_path / name, pnginfo=info)
    else:
        image.save(tmp_path / name, xmp=XMP.format(number).encode(), **({"lossless": True} if "webp" in name else {}))
    assert upright_size(tmp_path / name) == UPRIGHT.size
    assert read(tmp_path / name).size == UPRIGHT.size


@pytest.mark.parametrize("value", [0, 9, 6.5, "6", b"\x06", (6, 6), 1 << 15])
def test_an_orientation_that_is_none_counts_as_upright(value: Any) -> None:
    image = Image.new("RGB", (4, 2))
    image.getexif()[274] = value
    assert orientation(image) == 1


def jpeg_with(block: bytes) -> bytes:
    stream = io.BytesIO()
    Image.new("RGB", (24, 16), (200, 10, 10)).save(stream, "JPEG")
    plain = stream.getvalue()
    body = b"Exif\0\0" + block
    return plain[:2] + b"\xff\xe1" + struct.pack(">H", len(body) + 2) + body + plain[2:]


def odd_exif(chance: random.Random) -> bytes:
    """Return an EXIF block with random tags of random types, counts and values, some cut short."""
    order = chance.choice("<>")
    count = chance.randint(1, 6)
    entries = b""
    for _ in range(count):
        tag = chance.choice([274, 274, 34665, 34853, 40965, 305, 306, 282, 513, chance.randrange(65536)])
        kind = chance.choice([*range(14), chance.randrange(65536)])
        amount = chance.choice([0, 1, 1, 2, 7, chance.randrange(2**32)])
        value = chance.choice([6, 8, 26, chance.randrange(2**32)])
        entries += struct.pack(f"{order}HHII", tag, kind, amount, value)
    block = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, chance.choice([8, 8, 8, 9]))
    block += struct.pack(f"{order}H", count) + entries + struct.pack(f"{order}I", chance.choice([0, 8, 2**31]))
    block += chance.randbytes(chance.randrange(40))
    return block[: chance.randrange(len(block))] if chance.random() < 0.2 else block


def check_odd_exif(folder: Path, numbers: range) -> None:
    kinds = set()
    for number in numbers:
        path = folder / f"{number % 4}.jpg"
        path.write_bytes(jpeg_with(odd_exif(random.Random(number))))
        image, size = read(path), upright_size(path)
        assert image.size == size
        assert image.getpixel((0, 0))[0] > 150
        kinds.add(size)
    assert kinds == {(24, 16), (16, 24)}  # some of the blocks are sound


@ODD
def test_odd_metadata_never_cost_a_picture(tmp_path: Path) -> None:
    check_odd_exif(tmp_path, range(300))


@ODD
@pytest.mark.slow
def test_three_thousand_odd_blocks_never_cost_a_picture(tmp_path: Path) -> None:
    check_odd_exif(tmp_path, range(3000))


@ODD
@pytest.mark.parametrize("kind", ["png", "webp", "tif"])
def test_odd_metadata_of_other_files_end_in_a_picture_or_a_line(tmp_path: Path, kind: str) -> None:
    path = tmp_path / f"a.{kind}"
    for number in range(60):
        chance = random.Random(number)
        stream = io.BytesIO()
        if kind == "tif":
            Image.new("RGB", (24, 16), (200, 10, 10)).save(stream, "TIFF")
            whole = bytearray(stream.getvalue())
            for _ in range(3):  # the directory comes before the pixels or after them
                whole[chance.randrange(8, min(len(whole), 200))] = chance.randrange(256)
        else:
            Image.new("RGB", (24, 16), (200, 10, 10)).save(stream, kind.upper(), exif=b"Exif\0\0" + odd_exif(chance))
            whole = bytearray(stream.getvalue())
        path.write_bytes(whole)
        with contextlib.nullcontext() if kind != "tif" else contextlib.suppress(OSError, ValueError):
            assert read(path).size == upright_size(path)


@ODD
@pytest.mark.parametrize("name", ["a.jpg", "a.png", "a.gif", "a.webp", "a.tif", "a.bmp", "a.ppm"])
def test_a_damaged_file_is_an_error_of_two_kinds_only(tmp_path: Path, name: str) -> None:
    UPRIGHT.save(tmp_path / name)
    whole = (tmp_path / name).read_bytes()
    for number in range(40):
        chance = random.Random(number)
        damaged = bytearray(whole[: chance.randrange(1, len(whole))] if number % 2 else whole)
        for _ in range(8):
            damaged[chance.randrange(min(len(damaged), 400))] = chance.randrange(256)
        (tmp_path / name).write_bytes(damaged)
        for reader in (read, upright_size, decoding.deep_extremes):
            with contextlib.suppress(OSError, ValueError):
                reader(tmp_path / name)


@pytest.mark.parametrize(
    ("values", "levels"),
    [
        ([0, 4095], (0, 4095)),  # 12 bits in a file of 16
        ([0, 900], (0, 1023)),
        ([5, 16000], (0, 16383)),
        ([0, 65535], (0, 65535)),
        ([0, 200], (0, 255)),
        ([-1024, 3071], (-1024, 3071)),  # Hounsfield units
        ([0.0, 0.7], (0, 1)),
        ([0.0, 250.5], (0, 255)),
        ([0.0, 7.5], (0, 7.5)),
        ([-1.0, 1.0], (-1, 1)),
        ([-3.0, -3.0], (-3, -3 + 1e-6)),
    ],
)
def test_black_and_white_are_those_of_all_images(values: list[float], levels: tuple[float, float]) -> None:
    fractions = isinstance(values[0], float)
    pixels = np.array([values], dtype=np.float32 if fractions else np.int32)
    found = decoding.extremes(Image.fromarray(pixels))
    assert found == pytest.approx(tuple(values))
    assert levels_of([(found, fractions)]) == pytest.approx(levels)


def test_one_scale_for_all_keeps_dark_images_dark() -> None:
    scale = levels_of([((0, 4095), False), ((0, 300), False)])
    dark = np.asarray(to_rgb(Image.fromarray(np.array([[0, 300]], dtype=np.uint16)), scale))
    assert dark.max() == round(300 / 4095 * 255)
    assert levels_of([]) is None


def test_numbers_that_are_none_become_black_and_white() -> None:
    pixels = np.array([[np.nan, -np.inf, np.inf, 0.5, -1.0]], dtype=np.float32)
    assert decoding.extremes(Image.fromarray(pixels)) == (-1.0, 0.5)
    assert np.asarray(to_rgb(Image.fromarray(pixels), (-1.0, 0.5)))[0, :, 0].tolist() == [0, 0, 255, 255, 0]
    assert decoding.extremes(Image.fromarray(np.full((2, 2), np.nan, dtype=np.float32))) is None


def test_16_bits_of_whole_steps_are_exact() -> None:
    pixels = (np.arange(256, dtype=np.uint16) * 257).reshape(16, 16)
    assert (np.asarray(to_rgb(Image.fromarray(pixels)))[..., 0] == pixels // 257).all()


def test_negative_fractions_are_not_black_even_without_a_data_set() -> None:
    found = np.asarray(to_rgb(Image.fromarray(np.array([[-1.0, 0.0, 1.0]], dtype=np.float32))))[0, :, 0]
    assert found.tolist() == [0, 128, 255]


def flat(path: Path, mode: str, side: int) -> Path:
    Image.new(mode, (side, side), 1 if mode in "1P" else 200).save(path)
    return path


@pytest.mark.filterwarnings("ignore::PIL.Image.DecompressionBombWarning")
@pytest.mark.parametrize("mode", ["L", "P", "1", "I;16"])
def test_a_small_file_of_many_pixels_is_reduced_within_the_budget(
    tmp_path: Path, mode: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LARGE", 1 << 16)
    monkeypatch.setattr(decoding, "_STRIP", 1 << 14)
    path = flat(tmp_path / "a.png", mode, 1001)
    tracemalloc.start()
    image = read(path)
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert image.width * image.height <= 1 << 16
    assert image.size == (251, 251)
    assert peak < 1 << 20  # NumPy's share; Pillow's own memory is counted before it is taken
    assert upright_size(path) == (1001, 1001)


def test_a_reduced_picture_looks_as_if_it_were_reduced_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "LARGE", 1500)
    monkeypatch.setattr(decoding, "_STRIP", 300)
    assert decoding.reduction(UPRIGHT.size) == 3
    assert (np.asarray(to_rgb(UPRIGHT)) == np.asarray(UPRIGHT.reduce(3))).all()
    assert LARGE == 1 << 26


def test_a_large_jpeg_is_decoded_at_a_part_of_its_size(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    UPRIGHT.resize((960, 640)).save(tmp_path / "a.jpg", quality=95)
    whole = np.asarray(read(tmp_path / "a.jpg").reduce(2), dtype=int)
    monkeypatch.setattr(decoding, "LARGE", 200_000)
    part = read(tmp_path / "a.jpg")
    assert part.size == (480, 320)
    assert np.abs(np.asarray(part, dtype=int) - whole).mean() < 2


def test_what_would_not_fit_is_refused_in_one_line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(decoding, "_memory", Memory(1 << 20))
    path = flat(tmp_path / "a.png", "L", 900)
    with pytest.raises(ValueError, match=r"900x900 pixels would take about 3 MB to decode, more than the 1 MB"):
        read(path)
    assert upright_size(path) == (900, 900)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 1000)
    with pytest.raises(ValueError, match=r"more than 2,000 pixels; save it smaller, or cut it into pieces"):
        read(path)


def test_threads_wait_for_memory_and_never_hold_more_than_all_of_it() -> None:
    memory, held, most = Memory(100), [0], [0]
    lock = threading.Lock()

    def work() -> None:
        for size in (60, 30, 100):
            with memory.taking(size):
                with lock:
                    held[0] += size
                    most[0] = max(most[0], held[0])
                time.sleep(0.001)
                with lock:
                    held[0] -= size

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=20)
    assert held == [0]
    assert 60 <= most[0] <= 100


@pytest.mark.parametrize("name", ["a.jpg", "a.png"])
def test_a_small_picture_is_what_a_large_one_looks_like(tmp_path: Path, name: str) -> None:
    Image.linear_gradient("L").resize((1200, 600)).convert("RGB").save(tmp_path / name)
    small = decoding.read_small(tmp_path / name, 64)
    assert small.size == (64, 32)
    column = np.asarray(small, dtype=int)[:, 32, 0]
    assert (np.diff(column) >= 0).all()
    assert (column[0], column[-1]) == (pytest.approx(4, abs=4), pytest.approx(251, abs=4))
