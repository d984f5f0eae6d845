from __future__ import annotations

import base64
import os
from dataclasses import replace
from pathlib import Path

import pytest
from PIL import Image

from search.records.study import StudyRecord
from search.report.thumbnails import picture, roots_of, thumbnail


def test_only_images_are_shown(tmp_path: Path) -> None:
    (tmp_path / "secret.txt").write_text("secret")
    assert picture(str(tmp_path / "secret.txt"), [tmp_path]) is None
    assert picture(str(tmp_path), [tmp_path]) is None
    assert picture("digits[17]", [tmp_path]) is None


def test_pictures_are_small(tmp_path: Path) -> None:
    Image.new("RGB", (3000, 2000)).save(tmp_path / "large.jpg")
    found = picture(str(tmp_path / "large.jpg"), [tmp_path])
    assert found is not None
    assert len(base64.b64decode(found.split(",")[1])) < 10_000


def test_pictures_are_upright(tmp_path: Path) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6  # turned by a quarter
    Image.new("RGB", (200, 100)).save(tmp_path / "turned.jpg", exif=exif)
    found = thumbnail(str(tmp_path / "turned.jpg"), [tmp_path])
    assert found is not None
    assert found.size == (64, 128)


def told(study: StudyRecord, base: Path, **data: object) -> tuple[Path, ...]:
    return roots_of(replace(study, spec={"study": {"data": data}, "base": str(base)}))


def test_the_roots_are_the_folders_that_the_study_file_names(study: StudyRecord, tmp_path: Path) -> None:
    (tmp_path / "data").mkdir()
    (tmp_path / "t.csv").touch()
    assert told(study, tmp_path, path="data") == (tmp_path / "data",)
    assert told(study, tmp_path, path="t.csv", root="data") == (tmp_path, tmp_path / "data")
    (tmp_path / "link").symlink_to("data")
    assert told(study, tmp_path, path="link") == (tmp_path / "data",)


@pytest.mark.parametrize(
    "spec",
    [
        None,
        [],
        {},
        {"study": None},
        {"study": {"data": "/etc"}},
        {"study": {"data": {"path": 3, "root": None}}},
        {"study": {"data": {"path": "/"}}},
        {"study": {"data": {"path": "/t.csv"}}},
        {"study": {"data": {"path": "../../../../../../../../../.."}}},
        {"study": {"data": {"path": "x\0y"}}},
        {"study": {"data": {"dataset": "/home", "split_column": "/home"}}},
    ],
)
def test_a_study_file_in_the_store_opens_no_more_than_a_folder_of_data(study: StudyRecord, spec: object) -> None:
    roots = roots_of(replace(study, spec=spec))
    assert Path("/") not in roots
    assert picture("/etc/hostname", roots) is None


def test_only_pictures_of_the_studys_own_data_are_shown(tmp_path: Path) -> None:
    root, secret = tmp_path / "data", tmp_path / "secret.png"
    root.mkdir()
    for path in (secret, root / "own.png", tmp_path / "data-of-others.png"):
        Image.new("RGB", (8, 8)).save(path)
    (root / "link.png").symlink_to(secret)
    (root / "up").symlink_to("..")
    (root / "round.png").symlink_to("round.png")
    (root / "fifo.png").unlink(missing_ok=True)
    os.mkfifo(root / "fifo.png")
    assert picture(str(root / "own.png"), [root]) is not None
    (root / "in").mkdir()
    assert picture(str(root / "in" / ".." / "own.png"), [root]) is not None
    for path in (
        str(secret),
        str(root / "link.png"),
        str(root / "up" / "secret.png"),
        str(root / ".." / "secret.png"),
        f"{root}-of-others.png",
        str(root / "round.png"),
        str(root / "fifo.png"),
        str(root / "own.png") + "\0",
        "x" * 10_000,
        "",
        ".",
    ):
        assert picture(path, [root]) is None, path
    assert picture(str(root / "own.png"), []) is None


def test_no_program_is_started_for_a_picture(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def run(*_: object, **__: object) -> None:
        raise AssertionError("Ghostscript was started")

    monkeypatch.setattr("PIL.EpsImagePlugin.Ghostscript", run)
    (tmp_path / "a.png").write_bytes(b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n%%EndComments\nshowpage\n")
    assert picture(str(tmp_path / "a.png"), [tmp_path]) is None


def test_files_with_odd_metadata_or_of_a_scanner_are_upright(tmp_path: Path) -> None:
    for name, number in (("a.tif", 6), ("b.png", 8), ("c.jpg", 3)):
        exif = Image.Exif()
        exif[0x0112] = number
        exif[0x9003] = 7  # a date of the wrong type
        Image.new("L", (200, 100)).save(tmp_path / name, exif=exif)
        found = thumbnail(str(tmp_path / name), [tmp_path])
        assert found is not None
        assert found.size == ((128, 64) if number == 3 else (64, 128))
