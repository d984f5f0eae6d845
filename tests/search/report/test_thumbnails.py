from __future__ import annotations

import base64
import hashlib
import os
from pathlib import Path

import pytest
from PIL import Image

from search.data.formats import digits
from search.report import thumbnails
from search.report.thumbnails import picture, thumbnail


def content(path: Path) -> str:
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_only_images_are_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    assert picture(str(tmp_path / "secret.txt"), content(tmp_path / "secret.txt")) is None
    assert picture(str(tmp_path), "") is None
    assert picture("digits[17]", "") is None
    assert picture("digits[99999]", "00") is None


def test_a_digit_of_the_quickstart_is_shown_without_a_file() -> None:
    known = digits.image(17).digest().hex()
    found = thumbnail("digits[17]", known)
    assert found is not None
    assert found.size == (128, 128)
    assert found.resize((8, 8), Image.Resampling.NEAREST).tobytes() == digits.image(17).open().tobytes()
    assert thumbnail("digits[18]", known) is None


def test_pictures_are_small(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000)).save(tmp_path / "large.jpg")
    found = picture(str(tmp_path / "large.jpg"), content(tmp_path / "large.jpg"))
    assert found is not None
    assert len(base64.b64decode(found.split(",")[1])) < 10_000


def test_pictures_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (200, 100)).save(tmp_path / "turned.jpg", exif=exif)
    found = thumbnail(str(tmp_path / "turned.jpg"), content(tmp_path / "turned.jpg"))
    assert found is not None
    assert found.size == (64, 128)


def test_only_a_file_whose_content_is_known_is_shown(tmp_path: Path) -> None:
    own, secret = tmp_path / "own.png", tmp_path / "secret.png"
    Image.new("RGB", (8, 8)).save(own)
    Image.new("RGB", (8, 8), (1, 2, 3)).save(secret)
    (tmp_path / "link.png").symlink_to(secret)
    (tmp_path / "round.png").symlink_to("round.png")
    os.mkfifo(tmp_path / "fifo.png")
    known = content(own)
    assert picture(str(own), known) is not None
    for path in (
        *(
            str(tmp_path / name)
            for name in ("secret.png", "link.png", "round.png", "fifo.png", "gone.png", "own.png\0")
        ),
        *("/dev/zero", "/proc/self/environ", "x" * 10_000, "", "."),
    ):
        assert picture(path, known) is None, path
    for wrong in ("", "0" * 64, known[:-1], known.upper(), f" {known}"):
        assert picture(str(own), wrong) is None, wrong


def test_a_file_of_any_length_is_not_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    Image.new("RGB", (8, 8)).save(tmp_path / "a.png")
    monkeypatch.setattr(thumbnails, "_LARGEST", 10)
    assert picture(str(tmp_path / "a.png"), content(tmp_path / "a.png")) is None


def test_no_program_is_started_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", run)
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert picture(str(tmp_path / "a.png"), content(tmp_path / "a.png")) is None


def test_files_with_odd_metadata_or_of_a_scanner_are_upright(tmp_path: Path) -> None:
    for name, number in (("a.tif", 6), ("b.png", 8), ("c.jpg", 3)):
        exif = Image.Exif()
        exif[0x0112] = number
        exif[0x9003] = 7  # a date of the wrong type
        Image.new("L", (200, 100)).save(tmp_path / name, exif=exif)
        found = thumbnail(str(tmp_path / name), content(tmp_path / name))
        assert found is not None
        assert found.size == ((128, 64) if number == 3 else (64, 128))
