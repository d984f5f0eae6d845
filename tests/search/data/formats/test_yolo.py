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
        ("0 0.9 0.5 0.5 0.1", "line 2: .* extends beyond its image"),
        (
            "0 0.5 0.5 0.1",
            "line 2: expected `class .*, or an outline of at least three points, got 4 numbers",
        ),
        ("wasp 0.5 0.5 0.1 0.1", "line 2: expected `class x y width height` in numbers"),
        ("0 nan 0.5 0.1 0.1", "a side that is not a number"),
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
        ("train: images/train\nnames: [wasp, wasp]\n", "a class is listed twice under `names`"),
        ("train: images/train\nval: labels\nnames: [wasp, ant]\n", "no val image in .*labels; put some there"),
        ("train: list.txt\nnames: [wasp, ant]\n", r"list\.txt is not UTF-8 text"),
    ],
)
def test_a_wrong_description_is_reported(root: Path, description: str, message: str) -> None:
    (root / "list.txt").write_bytes(b"\xff\xfe")
    (root / "data.yaml").write_text(description)
    with pytest.raises(DataError, match=message):
        format.read(Options(str(root)), Path.cwd())


def test_class_names_that_are_not_text_are_reported(root: Path) -> None:
    (root / "data.yaml").unlink()
    (root / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"classes\.txt is not UTF-8 text"):
        format.read(Options(str(root)), Path.cwd())


def write_rows(root: Path, row: str, description: str = "") -> None:
    for file in (root / "labels").rglob("*.txt"):
        file.write_text(f"{row}\n")
    (root / "data.yaml").write_text(f"train: images/train\nval: images/val\nnames: [wasp, ant]\n{description}")


BOX = (0.5, 0.25, 0.75, 0.75)
WRONG_ROWS = [
    (
        "0 0.625 0.5 0.25 0.5 0.6 0.5",
        "kpt_shape: [2, 3]",
        r"line 1: expected 11 numbers, as `kpt_shape: .* says, got 7",
    ),
    ("0 0.625 0.5 0.25 0.5 0.93", "", "line 1: expected `class x y width height`, got 6 numbers; take out the last"),
    ("0 0.625 0.5 0.25 0.5 0.6 0.5 2", "", "got 8 numbers; rows with key points need `kpt_shape` in data.yaml"),
    ("0 0.5 0.2 0.7 0.2 0.7 0.7 0.5 0.7 0.9", "", "got 10 numbers; .*a confidence at the end must go"),
    (f"0 0.625 0.5 0.25 0.5{' 0.6 0.5 2' * 2}", "", r"seems to be a box with 2 key points.*`kpt_shape: \[2, 3\]`"),
    (f"0 0.625 0.5 0.25 0.5{' 0.6 0.5' * 17}", "", r"seems to be a box with 17 key points.*`kpt_shape: \[17, 2\]`"),
    ("0.5 0.625 0.5 0.25 0.5", "", "line 1: expected `class x y width height` in numbers"),
]


@pytest.mark.parametrize(
    ("row", "description"),
    [
        ("0 0.625 0.5 0.25 0.5", ""),
        ("0.0 0.625 0.5 0.25 0.5", ""),  # some tools write all numbers as fractions
        ("0 0.625 0.5 0.25 0.5", "kpt_shape: [2, 3]"),
        ("0 0.625 0.5 0.25 0.5 0.6 0.5 2 0 0 0", "kpt_shape: [2, 3]"),
        ("0 0.625 0.5 0.25 0.5 0.6 0.5 2", "kpt_shape: [1, 3]"),
        ("0 0.625 0.5 0.25 0.5 0.6 0.5 0.55 0.3", "kpt_shape: [2, 2]"),
        ("0 0.5 0.25 0.75 0.25 0.75 0.75 0.5 0.75", ""),  # a turned box, here one that is not turned
        ("0 0.625 0.25 0.75 0.5 0.625 0.75 0.5 0.5", ""),  # a turned box on its corner
        ("0 0.5 0.25 0.75 0.5 0.6 0.75", ""),  # a triangle
        ("0 0.5 0.25 0.75 0.25 0.75 0.5 0.75 0.75 0.5 0.75 0.5 0.5", "task: segment"),
    ],
)
def test_rows_of_every_task_give_the_box_that_they_mean(root: Path, row: str, description: str) -> None:
    write_rows(root, row, description)
    found = format.read(Options(str(root)), Path.cwd())
    assert len(found.samples) == 7
    for sample in found.samples:
        (box,) = sample.target.boxes
        assert (box.left, box.top, box.right, box.bottom) == BOX


@pytest.mark.parametrize(("row", "description", "message"), WRONG_ROWS, ids=[message for *_, message in WRONG_ROWS])
def test_rows_that_are_not_boxes_are_refused_by_line(root: Path, row: str, description: str, message: str) -> None:
    write_rows(root, row, description)
    with pytest.raises(DataError, match=message) as raised:
        format.read(Options(str(root)), Path.cwd())
    assert "\n" not in str(raised.value)


def test_the_example_of_a_pose_is_not_an_outline(tmp_path: Path) -> None:
    """COCO-pose's first row of the documentation, in an image of 100x100 pixels."""
    fill(tmp_path, "train", range(4))
    fill(tmp_path, "val", range(4, 6))
    for image in (tmp_path / "images").rglob("*.jpg"):
        Image.new("RGB", (100, 100), (int(image.stem) * 20, 0, 0)).save(image)
    write_rows(tmp_path, "0 0.73 0.425 0.28 0.19 0.8 0.47 2 0.28 0.8 1", "kpt_shape: [2, 3]")
    for sample in format.read(Options(str(tmp_path)), Path.cwd()).samples:
        (box,) = sample.target.boxes
        assert (box.left, box.top, box.right, box.bottom) == pytest.approx((0.59, 0.33, 0.87, 0.52))


@pytest.mark.parametrize("given", ["17", "[17]", "[17, 4]", "[0, 3]", "[a, 3]", "[2, 3, 4]", "{a: 1}"])
def test_key_points_of_another_shape_are_refused(root: Path, given: str) -> None:
    write_rows(root, "0 0.625 0.5 0.25 0.5", f"kpt_shape: {given}")
    with pytest.raises(DataError, match=r"`kpt_shape` must be \[key points, 2 or 3 numbers each\]"):
        format.read(Options(str(root)), Path.cwd())


def test_outlines_of_many_lengths_are_taken_as_such(root: Path) -> None:
    shapes = ["0 0.5 0.25 0.75 0.25 0.75 0.75", "0 0.5 0.25 0.75 0.25 0.75 0.75 0.5 0.75 0.5 0.5"]
    for number, file in enumerate(sorted((root / "labels").rglob("*.txt"))):
        file.write_text(shapes[number % 2])
    for sample in format.read(Options(str(root)), Path.cwd()).samples:
        (box,) = sample.target.boxes
        assert (box.left, box.top, box.right, box.bottom) == BOX


def test_yaml_that_explodes_is_refused(root: Path) -> None:
    (root / "data.yaml").write_text("[" * 5000)
    with pytest.raises(DataError, match="not YAML: lists or mappings are nested deeper than 100"):
        format.read(Options(str(root)), Path.cwd())
