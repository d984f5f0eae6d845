from __future__ import annotations

from pathlib import Path

import pytest

from search.data.image_sets import listed_names
from search.data.sample import Split
from search.errors import DataError


def lists(folder: Path, **texts: str) -> Path:
    for name, text in texts.items():
        (folder / f"{name}.txt").write_text(text)
    return folder


def test_names_are_listed_by_part(tmp_path: Path) -> None:
    lists(tmp_path, train="a\nb 1\nc d\n", val="e\n", trainval="a\ne\n", ant_train="a -1\n")
    (tmp_path / "c d.xml").touch()
    found = listed_names(tmp_path, tmp_path, ".xml")
    assert found == {Split.TRAIN: ["a", "b", "c d"], Split.VAL: ["e"]}


def test_without_a_list_for_training_nothing_is_listed(tmp_path: Path) -> None:
    assert listed_names(lists(tmp_path, val="e\n"), tmp_path, ".xml") == {}
    assert listed_names(tmp_path / "nowhere", tmp_path, ".xml") == {}


def test_a_name_in_two_lists_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="a is listed in both"):
        listed_names(lists(tmp_path, train="a\n", val="a\n"), tmp_path, ".xml")
