from __future__ import annotations

import json
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

pytest.importorskip("faster_coco_eval")

from search.data.formats import coco_masks
from search.data.formats.coco_masks import Options
from search.data.masks import VOID
from search.data.sample import Dataset, Split
from search.errors import DataError

SQUARE = [[0, 0, 4, 0, 4, 4, 0, 4]]
CATEGORIES = [{"id": 7, "name": "cat"}, {"id": 3, "name": "dog"}]


def table(folder: Path, count: int = 4, name: str = "train.json", **changes: Any) -> dict[str, Any]:
    """Write images of 6x4 pixels with a large cat under a small dog."""
    for number in range(count):
        Image.new("RGB", (6, 4), (number, 0, 0)).save(folder / f"{number}.png")
    data: dict[str, Any] = {
        "images": [{"id": n, "file_name": f"{n}.png", "width": 6, "height": 4} for n in range(count)],
        "annotations": [
            row
            for n in range(count)
            for row in (
                {"id": 2 * n, "image_id": n, "category_id": 3, "segmentation": [[0, 0, 2, 0, 2, 2, 0, 2]]},
                {"id": 2 * n + 1, "image_id": n, "category_id": 7, "segmentation": SQUARE},
            )
        ],
        "categories": CATEGORIES,
    }
    data |= changes
    (folder / name).write_text(json.dumps(data))
    return data


def read(folder: Path, **more: Any) -> Dataset:
    return coco_masks.format.read(Options(str(folder / "train.json"), **more), Path("/"))


def test_the_smaller_of_two_objects_is_seen(tmp_path: Path) -> None:
    table(tmp_path)
    found = read(tmp_path, val_share=0.25)
    assert found.classes == ("background", "cat", "dog")
    assert [len(found.of(split)) for split in Split] == [3, 1, 0]
    target = found.samples[0].target
    assert target.open().tolist() == [[2, 2, 1, 1, 0, 0], [2, 2, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0], [1, 1, 1, 1, 0, 0]]
    assert target.pixels == ((0, 8), (1, 12), (2, 4))
    assert hash(target)
    assert read(tmp_path, val_share=0.25).fingerprint == found.fingerprint


def test_pixels_without_an_object_may_count_for_nothing(tmp_path: Path) -> None:
    table(tmp_path)
    found = read(tmp_path, background=None)
    assert found.classes == ("cat", "dog")
    assert found.samples[0].target.open()[0].tolist() == [1, 1, 0, 0, VOID, VOID]
    assert found.samples[0].target.pixels == ((0, 12), (1, 4))


def test_run_lengths_of_both_kinds_are_read(tmp_path: Path) -> None:
    import numpy as np
    from faster_coco_eval.core import mask as coco

    wanted = np.zeros((4, 6), dtype=np.uint8, order="F")
    wanted[1:3, 2:5] = 1
    short = coco.encode(wanted)
    plain, last = [], 0
    for value in wanted.ravel(order="F"):
        if value == last and plain:
            plain[-1] += 1
        elif value == last:
            plain.append(1)
        else:
            plain.append(1)
            last = value
    for counts in (plain, short["counts"].decode()):
        rows = [
            {"id": n, "image_id": n, "category_id": 7, "iscrowd": 1, "segmentation": {"size": [4, 6], "counts": counts}}
            for n in range(4)
        ]
        table(tmp_path, annotations=rows)
        assert (read(tmp_path, val_share=0.25).samples[0].target.open() == wanted).all()


def test_parts_have_files_of_their_own(tmp_path: Path, by_file: Any) -> None:
    (tmp_path / "more").mkdir()
    table(tmp_path)
    table(
        tmp_path / "more",
        2,
        "val.json",
        categories=[{"id": 1, "name": "dog"}, {"id": 2, "name": "cat"}],
        annotations=[{"id": 1, "image_id": 0, "category_id": 1, "segmentation": SQUARE}],
    )
    found = read(tmp_path, val=str(tmp_path / "more" / "val.json"))
    assert [len(found.of(split)) for split in Split] == [4, 2, 0]
    val = by_file(replace(found, samples=found.of(Split.VAL)))
    assert val["more/0.png"].target.pixels == ((0, 8), (2, 16))
    assert val["more/1.png"].target.pixels == ((0, 24),)


ROW = {"id": 9, "image_id": 0, "category_id": 7, "segmentation": SQUARE}
WRONG_ROWS = [
    ({"category_id": 5}, r"image '0\.png': annotation 9: unknown category 5"),
    ({"segmentation": []}, r"annotation 9: segmentation is empty"),
    ({"segmentation": [[0, 0, 1, 1]]}, r"a polygon must be a list of x, y of at least three points"),
    ({"segmentation": [[0, 0, 1, 1, 2]]}, r"at least three points"),
    ({"segmentation": [[0, 0, 1, 1, 2, float("nan")]]}, r"finite numbers"),
    ({"segmentation": [[0, 0, 1, 1, 2, "x"]]}, r"finite numbers"),
    ({"segmentation": [[90, 90, 95, 90, 95, 95]]}, r"an outline without a pixel inside the image"),
    ({"segmentation": None}, r"segmentation must be polygons, or run lengths of size \[4, 6\]"),
    ({"segmentation": {"size": [9, 9], "counts": [81]}}, r"run lengths of size \[4, 6\]"),
    ({"segmentation": {"size": [4, 6], "counts": [3, 5]}}, r"run lengths of 8 pixels for an image of 24"),
    ({"segmentation": {"size": [4, 6], "counts": "zzzz"}}, r"run lengths that cannot be read"),
]


@pytest.mark.parametrize(("change", "message"), WRONG_ROWS)
def test_a_wrong_outline_is_refused_by_name_or_its_image_is_skipped(
    tmp_path: Path, change: dict[str, Any], message: str
) -> None:
    rows = table(tmp_path)["annotations"]
    table(tmp_path, annotations=[*rows, ROW | change])
    with pytest.raises(DataError, match=message) as caught:
        read(tmp_path)
    assert "\n" not in str(caught.value)
    found = read(tmp_path, on_error="skip")
    assert (len(found.samples), len(found.skipped)) == (3, 1)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"file_name": "gone.png"}, r"image 'gone\.png': there is no file .*gone\.png"),
        ({"width": 8}, r"the file is 6x4 pixels, the table says 8x4"),
        ({"height": None}, r"needs file_name, width and height"),
    ],
)
def test_a_wrong_image_is_refused_by_name_or_skipped(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    rows = table(tmp_path)["images"]
    table(tmp_path, images=[rows[0] | change, *rows[1:]])
    with pytest.raises(DataError, match=message):
        read(tmp_path)
    assert len(read(tmp_path, on_error="skip").samples) == 3


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"annotations": None}, r"not COCO annotations: it lacks the list 'annotations'"),
        ({"annotations": [{"id": 1, "image_id": 99}]}, r"annotation 1 is of image 99, which is not listed"),
        ({"annotations": [{"id": 1}]}, r"an annotation has no 'image_id'"),
        ({"categories": [{"id": 1, "name": "background"}]}, r"a category is called 'background' already"),
        ({"categories": [{"id": 1}]}, r"a category has no 'name'"),
    ],
)
def test_a_table_in_another_form_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    table(tmp_path, **change)
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_a_file_that_is_missing_or_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="do not exist"):
        read(tmp_path)
    (tmp_path / "train.json").write_text("{")
    with pytest.raises(DataError, match=r"train\.json: not JSON"):
        read(tmp_path)


@pytest.mark.parametrize("counts", [[-4, 28], ["a"], [12.5, 11.5], 5, [True, 23]])
def test_run_lengths_of_another_kind_are_reported(tmp_path: Path, counts: Any) -> None:
    data = table(tmp_path)
    data["annotations"][0]["segmentation"] = {"size": [4, 6], "counts": counts}
    (tmp_path / "train.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match="annotation 0: run lengths must be whole numbers from 0 on, or text"):
        read(tmp_path)
    assert len(read(tmp_path, on_error="skip").skipped) == 1


@pytest.mark.parametrize(
    ("part", "change", "message"),
    [
        ("categories", {"id": 3}, "a category has the id 3 of another one"),
        ("images", {"id": 1}, "an image has the id 1 of another one"),
        ("annotations", {"category_id": [3]}, r"unknown category \[3\]"),
        ("images", {"file_name": "a" * 5000}, "there is no file"),
    ],
)
def test_ids_and_names_that_mean_nothing_or_two_things_are_reported(
    tmp_path: Path, part: str, change: dict[str, Any], message: str
) -> None:
    data = table(tmp_path, categories=[dict(row) for row in CATEGORIES])
    data[part][0].update(change)
    (tmp_path / "train.json").write_text(json.dumps(data))
    with pytest.raises(DataError, match=message):
        read(tmp_path)


def test_json_that_is_nested_without_end_is_reported(tmp_path: Path) -> None:
    (tmp_path / "train.json").write_text("[" * 100_000)
    with pytest.raises(DataError, match=r"not JSON: maximum recursion depth"):
        read(tmp_path)
