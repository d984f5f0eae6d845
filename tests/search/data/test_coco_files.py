from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.data.coco_files import AmbiguousError, files_of, image_folder, load
from search.data.sample import Split
from search.errors import DataError

EMPTY = json.dumps({"images": [], "annotations": [], "categories": []})


def write(folder: Path, *names: str, text: str = EMPTY) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).write_text(text)


@pytest.mark.parametrize(
    "names",
    [
        ("annotations/instances_train2017.json", "annotations/instances_val2017.json"),
        ("train/_annotations.coco.json", "valid/_annotations.coco.json"),
        ("train.json", "val.json"),
    ],
)
def test_files_of_parts_are_found_by_their_names(tmp_path: Path, names: tuple[str, str]) -> None:
    write(tmp_path, *names)
    write(tmp_path, "annotations/captions_train2017.json", "__MACOSX/instances_train.json", text="{}")
    assert files_of(tmp_path) == [(tmp_path / names[0], Split.TRAIN), (tmp_path / names[1], Split.VAL)]
    (tmp_path / names[1]).unlink()
    assert files_of(tmp_path) == [(tmp_path / names[0], None)]


@pytest.mark.parametrize("name", ["annotations.json", "result.json", "annotations/instances_default.json"])
def test_a_single_file_of_any_name_is_to_be_cut(tmp_path: Path, name: str) -> None:
    write(tmp_path, name)
    write(tmp_path, "notes.json", text='{"categories": []}')
    assert files_of(tmp_path) == [(tmp_path / name, None)]


def test_several_files_without_parts_and_none_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no COCO annotations of training images"):
        files_of(tmp_path)
    write(tmp_path, "a.json", "b.json")
    with pytest.raises(
        AmbiguousError, match=r"none of which is marked as the one for training: a\.json, b\.json; name"
    ) as caught:
        files_of(tmp_path)
    assert caught.value.files == (tmp_path / "a.json", tmp_path / "b.json")


@pytest.mark.parametrize(
    ("file", "image", "folder"),
    [
        ("annotations.json", "images/1.png", "images"),
        ("annotations.json", "1.png", "."),
        ("annotations/instances_val2017.json", "val2017/1.png", "val2017"),
        ("annotations/instances_default.json", "images/default/1.png", "images/default"),
        ("labels.json", "photographs/all/1.png", "photographs/all"),
    ],
)
def test_images_are_found_wherever_they_lie(tmp_path: Path, file: str, image: str, folder: str) -> None:
    write(tmp_path, file, image)
    assert image_folder(tmp_path / file, "1.png") == tmp_path / folder
    assert image_folder(tmp_path / file, "2.png") == (tmp_path / file).parent


@pytest.mark.parametrize(
    ("text", "message"),
    [("{", "not JSON"), ("[]", "lacks the list 'images'"), ('{"images": []}', "lacks the list 'annotations'")],
)
def test_a_file_of_another_kind_is_refused(tmp_path: Path, text: str, message: str) -> None:
    write(tmp_path, "a.json", text=text)
    with pytest.raises(DataError, match=message):
        load(tmp_path / "a.json")
    with pytest.raises(DataError, match="do not exist"):
        load(tmp_path / "b.json")
