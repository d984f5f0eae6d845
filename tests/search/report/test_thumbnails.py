from __future__ import annotations

import base64
from pathlib import Path

from PIL import Image

from search.report.thumbnails import picture, thumbnail


def test_only_images_are_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    assert picture(str(tmp_path / "secret.txt")) is None
    assert picture(str(tmp_path)) is None
    assert picture("digits[17]") is None


def test_pictures_are_small(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000)).save(tmp_path / "large.jpg")
    found = picture(str(tmp_path / "large.jpg"))
    assert found is not None
    assert len(base64.b64decode(found.split(",")[1])) < 10_000


def test_pictures_stand_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (200, 100)).save(tmp_path / "turned.jpg", exif=exif)
    found = thumbnail(str(tmp_path / "turned.jpg"))
    assert found is not None
    assert found.size == (64, 128)
