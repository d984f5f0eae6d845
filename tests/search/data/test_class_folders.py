from __future__ import annotations

from pathlib import Path

from search.data.class_folders import class_parts, folders_in
from search.data.sample import Split


def make(root: Path, *folders: str) -> Path:
    for folder in folders:
        (root / folder).mkdir(parents=True)
    return root


def test_folders_without_parts_are_classes(tmp_path: Path) -> None:
    assert class_parts(make(tmp_path, "ants", "bees", ".git", "@eaDir", "__MACOSX")) == {tmp_path: None}
    assert [folder.name for folder in folders_in(tmp_path)] == ["ants", "bees"]


def test_parts_may_have_other_words_in_their_names_and_be_packed_twice(tmp_path: Path) -> None:
    make(tmp_path, "seg_train/seg_train/ants", "seg_test/seg_test/ants", "seg_pred/seg_pred")
    train, test = tmp_path / "seg_train" / "seg_train", tmp_path / "seg_test" / "seg_test"
    assert class_parts(tmp_path) == {train: Split.TRAIN, test: Split.TEST}


def test_train_may_be_a_class_of_vehicles(tmp_path: Path) -> None:
    assert class_parts(make(tmp_path, "bus", "car", "train")) == {tmp_path: None}


def test_train_and_test_without_class_folders_are_not_classes(tmp_path: Path) -> None:
    assert set(class_parts(make(tmp_path, "train", "test")).values()) == {Split.TRAIN, Split.TEST}
