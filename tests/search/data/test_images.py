from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data import boxes, masks
from search.data.broken_samples import why_broken
from search.data.decoding import formats, to_rgb
from search.data.images import FileImage, StoredImage, is_there


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "CMYK", "YCbCr", "HSV", "I", "F", "I;16"])
def test_every_kind_of_picture_becomes_rgb(mode: str) -> None:
    assert to_rgb(Image.new(mode, (5, 4))).mode == "RGB"


def test_a_16_bit_picture_keeps_its_range() -> None:
    pixels = np.linspace(0, 65535, 16, dtype=np.uint16).reshape(4, 4)
    found = np.asarray(to_rgb(Image.fromarray(pixels)))
    assert found.max() == 255
    assert found.min() == 0
    assert len(np.unique(found)) == 16


def test_a_photograph_is_turned_as_its_exif_says(tmp_path: Path) -> None:
    image = Image.new("RGB", (8, 4))
    exif = image.getexif()
    exif[0x0112] = 6
    image.save(tmp_path / "turned.jpg", exif=exif)
    assert FileImage(tmp_path / "turned.jpg").open().size == (4, 8)


def test_broken_files_say_why(tmp_path: Path) -> None:
    text = tmp_path / "text.png"
    text.write_text("hello")
    assert "not an image" in why_broken(FileImage(text))
    whole = tmp_path / "whole.jpg"
    Image.effect_noise((64, 64), 50).save(whole)
    cut = tmp_path / "cut.jpg"
    cut.write_bytes(whole.read_bytes()[:600])
    assert "truncated" in why_broken(FileImage(cut))
    assert why_broken(FileImage(whole)) == ""


def test_equal_content_has_equal_digests() -> None:
    images = [Image.new("L", (2, 2), value) for value in (1, 1, 2)]
    digests = [StoredImage("d", place, images.__getitem__).digest() for place in range(3)]
    assert digests[0] == digests[1] != digests[2]


def test_a_name_that_no_file_system_takes_is_missing(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    assert is_there(tmp_path / "a.png")
    assert not any(is_there(tmp_path / name) for name in ("b.png", "x" * 5000, "a\0.png"))


def test_no_program_is_started_for_an_image(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", run)
    path = tmp_path / "a.png"
    path.write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert "not an image" in why_broken(FileImage(path))
    assert "cannot be read" in str(boxes._upright_size(path))
    assert masks.size_of(path) is None
    with pytest.raises(ValueError, match="not an image"):
        masks.read_values(path)


@pytest.mark.parametrize("kind", ["PNG", "JPEG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "TGA", "AVIF", "JPEG2000"])
def test_images_are_known_by_their_content(tmp_path: Path, kind: str) -> None:
    if kind not in formats():
        pytest.skip(f"this Pillow has no {kind}")
    Image.new("RGB", (9, 7), (250, 0, 0)).save(tmp_path / "a.png", kind)
    assert FileImage(tmp_path / "a.png").open().size == (9, 7)
