from __future__ import annotations

import struct
import zlib
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

from search.data import decoding
from search.data.decoding import levels_of, read

KINDS = ("png", "tif-little", "tif-big", "tif-little-packed", "tif-big-packed")
MULTIPLIED = 1
"""What TIFF calls an opacity by which colours are multiplied."""


def png(path: Path, channels: NDArray[np.uint16], colour: int) -> Path:
    """Write ``(H, W, C)`` as a PNG of 16 bits, which Pillow cannot."""
    height, width = channels.shape[:2]
    rows = b"".join(b"\0" + row.astype(">u2").tobytes() for row in channels)
    head = struct.pack(">IIBBBBB", width, height, 16, colour, 0, 0, 0)
    parts = ((b"IHDR", head), (b"IDAT", zlib.compress(rows)), (b"IEND", b""))
    chunks = (
        struct.pack(">I", len(data)) + name + data + struct.pack(">I", zlib.crc32(name + data)) for name, data in parts
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + b"".join(chunks))
    return path


def tiff(
    path: Path, channels: NDArray[np.generic], kind: str, tags: dict[int, list[int]], *, planes: bool = False
) -> Path:
    """Write ``(H, W, C)`` as a TIFF in the byte order and packing that ``kind`` names."""
    order, is_packed = ("<" if "little" in kind else ">"), kind.endswith("packed")
    stored = channels.astype(channels.dtype.newbyteorder(order))
    strips = [stored[..., place].tobytes() for place in range(stored.shape[2])] if planes else [stored.tobytes()]
    strips = [zlib.compress(strip) for strip in strips] if is_packed else strips
    places = [8 + sum(map(len, strips[:number])) for number in range(len(strips))]
    height, width, count = channels.shape
    entries = {
        256: [width],
        257: [height],
        258: [8 * channels.itemsize] * count,
        259: [8 if is_packed else 1],
        262: [2],
        273: places,
        277: [count],
        278: [height],
        279: list(map(len, strips)),
        284: [1 + planes],
        **tags,
    }
    start = 8 + sum(map(len, strips))
    further, rows = start + 2 + 12 * len(entries) + 4, b""
    tail = b""
    for tag, values in sorted(entries.items()):
        data = struct.pack(f"{order}{len(values)}I", *values)
        rows += struct.pack(f"{order}HHI", tag, 4, len(values))
        rows += data if len(values) == 1 else struct.pack(f"{order}I", further + len(tail))
        tail += data if len(values) > 1 else b""
    head = (b"II" if order == "<" else b"MM") + struct.pack(f"{order}HI", 42, start)
    directory = struct.pack(f"{order}H", len(entries)) + rows + bytes(4)
    path.write_bytes(head + b"".join(strips) + directory + tail)
    return path


def levels(path: Path) -> decoding.Levels | None:
    return levels_of([found for found in [decoding.deep_extremes(path)] if found is not None])


def drawn(bits: int, channels: int) -> NDArray[np.uint16]:
    numbers = np.random.default_rng(0).integers(0, 2**bits, (24, 40, channels), dtype=np.uint16)
    numbers[0, 0] = 2**bits - 1
    return numbers


def in_eight(numbers: NDArray[np.uint16], white: int) -> NDArray[np.uint8]:
    return np.rint(numbers * (255 / white)).astype(np.uint8)


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("bits", [10, 12, 16])
def test_colours_of_16_bits_keep_all_of_them(tmp_path: Path, kind: str, bits: int) -> None:
    colours = drawn(bits, 3)
    path = png(tmp_path / "a.png", colours, 2) if kind == "png" else tiff(tmp_path / "a.tif", colours, kind, {})
    white = 2**bits - 1
    assert levels(path) == (0.0, white)
    assert np.array_equal(np.asarray(read(path, (0.0, white))), in_eight(colours, white))
    assert np.array_equal(np.asarray(read(path)), in_eight(colours, 65535))


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("opacity", [0, MULTIPLIED, 2])
def test_colours_beside_an_opacity_keep_all_of_their_bits(tmp_path: Path, kind: str, opacity: int) -> None:
    both = np.concatenate([drawn(12, 3), np.full((24, 40, 1), 65535, dtype=np.uint16)], axis=2)
    is_png = kind == "png"
    path = png(tmp_path / "a.png", both, 6) if is_png else tiff(tmp_path / "a.tif", both, kind, {338: [opacity]})
    assert levels(path) == (0.0, 4095.0)
    assert np.array_equal(np.asarray(read(path, (0.0, 4095.0))), in_eight(both[..., :3], 4095))


def test_grey_beside_an_opacity_keeps_all_of_its_bits(tmp_path: Path) -> None:
    """A PNG of grey and opacity: of 12 bits no more than 15 of 255 would be left."""
    grey = drawn(12, 1)
    path = png(tmp_path / "a.png", np.concatenate([grey, np.full_like(grey, 65535)], axis=2), 4)
    assert levels(path) == (0.0, 4095.0)
    assert np.array_equal(np.asarray(read(path, (0.0, 4095.0))), in_eight(np.repeat(grey, 3, axis=2), 4095))


@pytest.mark.parametrize("kind", KINDS[1:])
@pytest.mark.parametrize(("dtype", "form"), [("f4", 3), ("i2", 2), ("i4", 2)])
def test_numbers_of_either_byte_order_are_those_that_were_stored(
    tmp_path: Path, kind: str, dtype: str, form: int
) -> None:
    """Of packed files libtiff has turned the bytes already."""
    numbers = np.arange(24 * 40).reshape(24, 40, 1).astype(dtype) - 100
    path = tiff(tmp_path / "a.tif", numbers, kind, {262: [1], 339: [form]})
    assert levels(path) == (-100.0, 859.0)
    wanted = np.rint((numbers + 100.0) * (255 / 959)).astype(np.uint8)
    assert np.array_equal(np.asarray(read(path, (-100.0, 859.0)))[..., :1], wanted)


@pytest.mark.parametrize("kind", KINDS[1:])
def test_deep_colours_in_planes_are_refused(tmp_path: Path, kind: str) -> None:
    """Pillow reads other numbers than there are, without a word."""
    path = tiff(tmp_path / "a.tif", drawn(12, 3), kind, {}, planes=True)
    with pytest.raises(ValueError, match="colours in planes; save it with interleaved colours"):
        read(path)


def test_eight_bits_are_not_deep_colours(tmp_path: Path) -> None:
    picture = Image.fromarray(drawn(8, 3).astype(np.uint8))
    picture.save(tmp_path / "a.png")
    picture.convert("RGBA").save(tmp_path / "b.png")
    picture.convert("LA").save(tmp_path / "c.png")
    tiff(tmp_path / "d.tif", np.asarray(picture), "tif-little", {}, planes=True)
    assert [decoding.deep_extremes(tmp_path / name) for name in ("a.png", "b.png", "c.png", "d.tif")] == [None] * 4
    assert read(tmp_path / "d.tif").tobytes() == picture.tobytes()
