from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from search.data.formats.coco import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError


def annotations(numbers: range) -> dict[str, Any]:
    return {
        "images": [{"id": 7 * n, "file_name": f"{n}.png", "width": 40, "height": 20} for n in numbers],
        "annotations": [
            {"id": 10 * n + k, "image_id": 7 * n, "category_id": 3 + k, "bbox": [4 * k, 0, 20, 10], "iscrowd": 0}
            for n in numbers
            for k in range(2)
        ],
        "categories": [
            {"id": 0, "name": "insects"},
            {"id": 3, "name": "wasp"},
            {"id": 4, "name": "ant"},
        ],
    }


def images(folder: Path, numbers: range) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number in numbers:
        Image.new("RGB", (40, 20), (number * 20, 0, 0)).save(folder / f"{number}.png")


@pytest.fixture
def single(tmp_path: Path) -> Path:
    """Eight images and their annotations in one file."""
    images(tmp_path, range(8))
    (tmp_path / "boxes.json").write_text(json.dumps(annotations(range(8))))
    return tmp_path / "boxes.json"


def changed(single: Path, change: Any) -> str:
    data = json.loads(single.read_text())
    change(data)
    single.write_text(json.dumps(data))
    return str(single)


def test_one_file_is_read_and_cut_and_classes_without_a_box_are_left_out(single: Path, by_file: Any) -> None:
    found = format.read(Options(str(single), val_share=0.25), Path.cwd())
    assert found.classes == ("wasp", "ant")
    assert [len(found.of(split)) for split in Split] == [6, 2, 0]
    box = by_file(found)["0.png"].target.boxes[1]
    assert (box.label, box.left, box.top, box.right, box.bottom) == (1, 0.1, 0.0, 0.6, 0.5)


def test_crowds_and_background_are_reported(single: Path, by_file: Any) -> None:
    def change(data: dict[str, Any]) -> None:
        data["annotations"][0]["iscrowd"] = 1
        data["annotations"] = [one for one in data["annotations"] if one["image_id"] != 7]

    found = format.read(Options(changed(single, change)), Path.cwd())
    assert by_file(found)["0.png"].target.boxes[0].is_crowd
    assert by_file(found)["1.png"].target.boxes == ()


def test_the_usual_folder_is_read(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for split, numbers in (("train", range(5)), ("val", range(5, 8))):
        images(tmp_path / f"{split}2017", numbers)
        (tmp_path / f"annotations/instances_{split}2017.json").write_text(json.dumps(annotations(numbers)))
        (tmp_path / f"annotations/captions_{split}2017.json").write_text("{}")
    found = format.read(Options(str(tmp_path)), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [5, 3, 0]


def test_files_beside_their_images_by_split_are_read(tmp_path: Path) -> None:
    for split, numbers in (("train", range(4)), ("valid", range(4, 6)), ("test", range(6, 8))):
        images(tmp_path / split, numbers)
        (tmp_path / split / "_annotations.coco.json").write_text(json.dumps(annotations(numbers)))
    found = format.read(Options(str(tmp_path)), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [4, 2, 2]


def test_named_files_are_read(single: Path) -> None:
    other = single.with_name("other.json")
    other.write_text(json.dumps(annotations(range(6, 8))))
    single.write_text(json.dumps(annotations(range(6))))
    found = format.read(Options("boxes.json", val="other.json", images="."), single.parent)
    assert [len(found.of(split)) for split in Split] == [6, 2, 0]


FAULTS = [
    (lambda data: data["annotations"][3].update(category_id=99), r"annotations\[3\]: unknown class 'id 99'"),
    (lambda data: data["annotations"][3].update(bbox=[1, 1, 0, 5]), "has no area"),
    (lambda data: data["annotations"][3].update(bbox=[1, 1, -3, 5]), "has no area"),
    (lambda data: data["annotations"][3].update(bbox=[30, 1, 30, 5]), "extends beyond its image of 40x20"),
    (lambda data: data["annotations"][3].update(bbox=[100, 1, 30, 5]), "extends beyond its image of 40x20"),
    (lambda data: data["annotations"][3].update(bbox=[1, 2, 3]), "needs an `image_id`, a `category_id` and a `bbox`"),
    (lambda data: data["annotations"][3].update(bbox=[1, 2, float("nan"), 4]), "a side that is not a number"),
    (lambda data: data["annotations"][3].update(image_id=5), "image_id 5 is not among the images"),
    (lambda data: data["images"][2].update(width=41), "says 41x20 pixels, but 2.png .* has 40x20"),
    (lambda data: data["images"][2].update(file_name="gone.png"), "gone.png does not exist"),
]


@pytest.mark.parametrize(("change", "message"), FAULTS, ids=[message for _, message in FAULTS])
def test_faults_are_named_or_left_out_and_listed(single: Path, change: Any, message: str) -> None:
    path = changed(single, change)
    with pytest.raises(DataError, match=message):
        format.read(Options(path), Path.cwd())
    found = format.read(Options(path, on_error="skip"), Path.cwd())
    assert len(found.skipped) == 1
    assert len(found.samples) >= 7


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("{", "not JSON"),
        ("[]", "it lacks the list 'images'"),
        ('{"images": [], "annotations": []}', "it lacks the list 'categories'"),
        ('{"images": [], "annotations": [], "categories": [{"id": "x"}]}', "needs an `id` and a `name`"),
        ('{"images": [{}], "annotations": [], "categories": []}', r"images\[0\] needs an `id`, a `file_name`"),
        ('{"images": [], "annotations": [], "categories": []}', "no annotated image"),
    ],
)
def test_a_file_that_is_none_is_refused(tmp_path: Path, text: str, message: str) -> None:
    (tmp_path / "a.json").write_text(text)
    with pytest.raises(DataError, match=message):
        format.read(Options(str(tmp_path / "a.json")), Path.cwd())


def test_a_folder_of_another_format_is_refused_with_a_hint(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="`format: voc`"):
        format.read(Options(str(tmp_path)), Path.cwd())


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda data: data["annotations"][0].update(category_id=[3]), r"annotations\[0\]: needs an `image_id`"),
        (lambda data: data["images"][0].update(id=[1]), r"images\[0\] needs an `id`, a `file_name`"),
        (lambda data: data["images"][0].update(width=float("inf")), r"images\[0\] needs .*`width` and `height`"),
        (lambda data: data["categories"][0].update(id=float("inf")), r"categories\[0\] needs an `id` and a `name`"),
        (lambda data: data["images"][0].update(file_name="a" * 5000), "does not exist"),
    ],
)
def test_values_of_another_kind_are_reported(single: Path, change: Any, message: str) -> None:
    with pytest.raises(DataError, match=message):
        format.read(Options(changed(single, change)), Path.cwd())
