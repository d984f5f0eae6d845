from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.data.formats.yolo import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError


def fill(root: Path, split: str, numbers: range) -> None:
    for folder in ("images", "labels"):
        (root / folder / split).mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (40, 20), (number * 20, 0, 0)).save(root / "images" / split / f"{number}.jpg")
        (root / "labels" / split / f"{number}.txt").write_text("0 0.25 0.5 0.5 1.0\n1 0.75 0.5 0.5 0.5\n")


@pytest.fixture
def root(tmp_path: Path) -> Path:
    fill(tmp_path, "train", range(5))
    fill(tmp_path, "val", range(5, 7))
    (tmp_path / "data.yaml").write_text("path: .\ntrain: images/train\nval: images/val\nnames: {0: wasp, 1: ant}\n")
    return tmp_path


@pytest.mark.parametrize("name", ["", "data.yaml"])
def test_what_data_yaml_describes_is_read(root: Path, name: str) -> None:
    found = format.read(Options(str(root / name)), Path.cwd())
    assert found.classes == ("wasp", "ant")
    assert [len(found.of(split)) for split in Split] == [5, 2, 0]
    box = found.samples[0].target.boxes[1]
    assert (box.label, box.left, box.top, box.right, box.bottom) == (1, 0.5, 0.25, 1.0, 0.75)


def test_folders_with_class_names_are_read_without_it(root: Path) -> None:
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_text("wasp\nant\n")
    found = format.read(Options(str(root)), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [5, 2, 0]


def test_lists_of_images_and_paths_one_folder_too_high_are_read(root: Path) -> None:
    (root / "train.txt").write_text("\n".join(f"images/train/{n}.jpg" for n in range(4)))
    (root / "data.yaml").write_text("train: train.txt\nval: ../images/val\nnames: [wasp, ant]\n")
    found = format.read(Options(str(root)), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [4, 2, 0]


def test_polygons_count_by_their_box_and_images_without_text_are_background(root: Path, by_file: Any) -> None:
    (root / "labels/train/0.txt").write_text("1 0.1 0.2 0.5 0.2 0.3 0.9\n")
    (root / "labels/train/1.txt").unlink()
    found = format.read(Options(str(root)), Path.cwd())
    (box,) = by_file(found)["images/train/0.jpg"].target.boxes
    assert (box.left, box.top, box.right, box.bottom) == (0.1, 0.2, 0.5, 0.9)
    assert by_file(found)["images/train/1.jpg"].target.boxes == ()


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ("2 0.5 0.5 0.1 0.1", "line 2: unknown class 'number 2'; expected one of wasp, ant"),
        ("0 0.5 0.5 0 0.1", "line 2: .* has no area"),
        ("0 0.9 0.5 0.5 0.1", "line 2: .* reaches out of its image"),
        ("0 0.5 0.5 0.1", "line 2: expected `class x y width height`, or a polygon, got 4 numbers"),
        ("wasp 0.5 0.5 0.1 0.1", "line 2: expected `class x y width height` in numbers"),
        ("0 nan 0.5 0.1 0.1", "a side that is no number"),
    ],
)
def test_bad_lines_are_named_or_left_out_and_listed(root: Path, line: str, message: str) -> None:
    (root / "labels/train/0.txt").write_text(f"1 0.75 0.5 0.5 0.5\n{line}\n")
    with pytest.raises(DataError, match=message):
        format.read(Options(str(root)), Path.cwd())
    found = format.read(Options(str(root), on_error="skip"), Path.cwd())
    assert len(found.skipped) == 1
    assert len(found.samples) == 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("a: [", "not YAML"),
        ("names: [a]", "needs `train:`"),
        ("train: gone\nnames: [a]", "gone does not exist"),
        ("train: images/train\nnames: {1: a}", "must be 0 to 0"),
        ("train: images/train\nnames: a", "must be a list"),
        ("train: images/train", "no class names"),
    ],
)
def test_a_description_that_is_none_is_refused(root: Path, text: str, message: str) -> None:
    (root / "data.yaml").write_text(text)
    with pytest.raises(DataError, match=message):
        format.read(Options(str(root)), Path.cwd())


@pytest.mark.parametrize(
    ("description", "message"),
    [
        ("train: images/train\nnames: {0: wasp, ant: 1}\n", r"the keys of `names` must be 0 to 1, got \[0, 'ant'\]"),
        ("train: images/train\nnames: [wasp, wasp]\n", "a class stands twice under `names`"),
        ("train: images/train\nval: labels\nnames: [wasp, ant]\n", "no val image in .*labels; put some there"),
        ("train: list.txt\nnames: [wasp, ant]\n", r"list\.txt is not UTF-8 text"),
    ],
)
def test_a_wrong_description_is_told(root: Path, description: str, message: str) -> None:
    (root / "list.txt").write_bytes(b"\xff\xfe")
    (root / "data.yaml").write_text(description)
    with pytest.raises(DataError, match=message):
        format.read(Options(str(root)), Path.cwd())


def test_class_names_that_are_no_text_are_told(root: Path) -> None:
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"classes\.txt is not UTF-8 text"):
        format.read(Options(str(root)), Path.cwd())
