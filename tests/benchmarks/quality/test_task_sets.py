"""A contender sees what it may learn from and nothing of the test part."""

from __future__ import annotations

from pathlib import Path

import pytest
from quality.task_sets import ASIDE, prepared


def tables(folder: Path, *names: str, rows: int = 30) -> Path:
    folder.mkdir()
    for name in names:
        lines = "".join(f"{name} {row}\t{row % 2}\n" for row in range(rows))
        (folder / f"{name}.tsv").write_text("sentence\tlabel\n" + lines)
    return folder


def test_texts_are_drawn_once_for_all_and_test_texts_stay_apart(tmp_path: Path) -> None:
    data = tables(tmp_path / "data", "train", "dev", "test")
    made = [prepared("text", data, tmp_path / name, 9) for name in ("one", "other")]
    train, other = (one.learn.joinpath("train.tsv").read_text() for one in made)
    assert train.count("\n") == 1 + 9
    assert train == other
    assert made[0].learn.joinpath("dev.tsv").read_text().count("\n") == 1 + 3
    assert sorted(path.name for path in made[0].learn.iterdir()) == ["dev.tsv", "train.tsv"]
    assert made[0].test.read_text() == (data / "test.tsv").read_text()


def test_a_part_of_training_is_set_aside_where_there_is_no_test(tmp_path: Path) -> None:
    made = prepared("text", tables(tmp_path / "data", "train"), tmp_path / "set")
    train, test = (path.read_text().splitlines()[1:] for path in (made.learn / "train.tsv", made.test))
    assert len(test) == 30 // ASIDE
    assert not set(train) & set(test)
    assert len(train) + len(test) == 30


def test_masks_and_boxes_are_linked_in_the_layout_that_init_knows(tmp_path: Path) -> None:
    masks, boxes = tmp_path / "masks", tmp_path / "boxes"
    for part in ("train", "val", "test"):
        for kind, ending in (("images", "jpg"), ("masks", "png")):
            (masks / part / kind).mkdir(parents=True)
            (masks / part / kind / f"{part}.{ending}").write_text(part)
        for kind, ending in (("JPEGImages", "jpg"), ("Annotations", "xml")):
            (boxes / kind).mkdir(parents=True, exist_ok=True)
            (boxes / kind / f"{part}.{ending}").write_text(part)
        (boxes / "ImageSets/Main").mkdir(parents=True, exist_ok=True)
        (boxes / f"ImageSets/Main/{part}.txt").write_text(f"{part}\n")
    for task, data in (("segmentation", masks), ("detection", boxes)):
        made = prepared(task, data, tmp_path / task)
        learnt = {path.read_text().strip() for path in made.learn.rglob("*") if path.is_file()}
        assert learnt == {"train", "val"}
        assert [path.read_text() for place in (made.test, made.truth) for path in place.iterdir()] == ["test", "test"]


@pytest.mark.parametrize("task", ["text", "segmentation", "detection"])
def test_another_layout_is_refused(task: str, tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="has no"):
        prepared(task, tmp_path, tmp_path / "set")
