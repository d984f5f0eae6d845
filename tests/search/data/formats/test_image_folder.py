from __future__ import annotations

import shutil
from collections import Counter
from pathlib import Path

import pytest

from search.data.formats.image_folder import Options
from search.data.formats.image_folder import format as image_folder
from search.data.sample import Dataset, Split
from search.errors import DataError


def read(path: Path, **options: object) -> Dataset:
    return image_folder.read(Options(str(path), **options), Path("/"))  # type: ignore[arg-type]


def test_a_folder_of_classes_is_cut(folder: Path) -> None:
    dataset = read(folder, val_share=0.25)
    assert dataset.classes == ("blue", "green", "red")
    assert Counter(sample.split for sample in dataset.samples) == {Split.TRAIN: 27, Split.VAL: 9}


@pytest.mark.parametrize("name", ["val", "valid", "Validation"])
def test_the_folders_own_splits_are_kept(folder: Path, tmp_path: Path, name: str) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / name)
    dataset = read(tmp_path / "split")
    assert len(dataset.of(Split.TRAIN)) == len(dataset.of(Split.VAL)) == 36


def test_a_test_folder_without_val_has_val_cut_from_train(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "test")
    dataset = read(tmp_path / "split", val_share=0.25)
    assert {split: len(dataset.of(split)) for split in Split} == {Split.TRAIN: 27, Split.VAL: 9, Split.TEST: 36}


def test_what_is_not_an_image_is_passed_over(folder: Path) -> None:
    (folder / "red" / "notes.txt").write_text("x")
    (folder / ".hidden").mkdir()
    assert len(read(folder).samples) == 36


def test_missing_and_empty_folders_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="does not exist"):
        read(tmp_path / "absent")
    with pytest.raises(DataError, match=r"~nobody-here/data does not exist"):
        read(Path("~nobody-here/data"))
    with pytest.raises(DataError, match="no class folders"):
        read(tmp_path)
    (tmp_path / "file").touch()
    with pytest.raises(DataError, match="is not a folder"):
        read(tmp_path / "file")


def test_a_class_without_images_is_named(folder: Path) -> None:
    (folder / "empty").mkdir()
    with pytest.raises(DataError, match=r"class folder .*empty has no image"):
        read(folder)


def test_a_single_class_is_refused(folder: Path) -> None:
    shutil.rmtree(folder / "red")
    shutil.rmtree(folder / "blue")
    with pytest.raises(DataError, match="only the class 'green'"):
        read(folder)


def test_a_class_that_only_validation_has_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "val")
    shutil.rmtree(tmp_path / "split" / "train" / "red")
    with pytest.raises(DataError, match="class 'red' is in val but not in train"):
        read(tmp_path / "split")


def test_a_class_that_only_training_has_is_named(folder: Path, tmp_path: Path) -> None:
    shutil.copytree(folder, tmp_path / "split" / "train")
    shutil.copytree(folder, tmp_path / "split" / "val")
    shutil.rmtree(tmp_path / "split" / "val" / "red")
    with pytest.raises(DataError, match="class 'red' has no validation image"):
        read(tmp_path / "split")
