from __future__ import annotations

from pathlib import Path

import pytest

from search.data.boxes import Faults
from search.data.yolo_rows import boxes_of, read_rows


def test_rows_are_numbered_as_an_editor_numbers_them(tmp_path: Path) -> None:
    file = tmp_path / "a.txt"
    file.write_text("0 0.5 0.5 0.2 0.2\n\n# note\n1 0.5 0.5 0.2\u20280.4\n", encoding="utf-8")
    faults = Faults("rows")
    rows = read_rows(file, ("wasp", "ant"), faults)
    assert [(row.place, row.label) for row in rows] == [(f"{file}, line 1", "wasp"), (f"{file}, line 4", "ant")]
    assert faults.lines == [f"{file}, line 3: expected `class x y width height` in numbers, got '# note'"]
    assert [len(boxes) for boxes in boxes_of([rows, []], None, faults)] == [2, 0]


def test_a_missing_file_is_background_and_one_that_is_not_text_a_fault(tmp_path: Path) -> None:
    faults = Faults("rows")
    assert read_rows(tmp_path / "none.txt", ("wasp",), faults) == []
    (tmp_path / "a.txt").write_bytes(b"\xff\xfe")
    assert read_rows(tmp_path / "a.txt", ("wasp",), faults) == []
    assert len(faults.lines) == 1


def test_a_missing_class_is_named_by_its_number(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text("7 0.5 0.5 0.2 0.2\n-1 0.5 0.5 0.2 0.2\ninf 0 0 1 1\n")
    faults = Faults("rows")
    assert [row.label for row in read_rows(tmp_path / "a.txt", ("wasp",), faults)] == ["number 7", "number -1"]
    assert len(faults.lines) == 1


@pytest.mark.parametrize("track", ["7", "1", "0"])
def test_saved_tracks_are_not_outlines(tmp_path: Path, track: str) -> None:
    """A box, a confidence and the number of a track are as many numbers as a triangle has."""
    (tmp_path / "a.txt").write_text(f"0 0.5 0.5 0.2 0.2 0.9 {track}\n0 0.4 0.5 0.2 0.2 0.8 {track}\n")
    faults = Faults("rows")
    rows = read_rows(tmp_path / "a.txt", ("wasp",), faults)
    assert boxes_of([rows], None, faults) == [[]]
    assert [line.partition(": ")[2] for line in faults.lines] == [
        "seems to be a box with a confidence and the number of a track, not an outline; take these two out"
    ] * 2


def test_an_outline_lies_within_its_image(tmp_path: Path) -> None:
    (tmp_path / "a.txt").write_text(
        "0 0.1 0.1 0.5 0.1 0.5 0.5 0.1 1.02\n0 0.5 0.5 0.3 0.3 0.9 7\n0 10 10 50 10 50 50\n"
    )
    faults = Faults("rows")
    (found,) = boxes_of([read_rows(tmp_path / "a.txt", ("wasp",), faults)], None, faults)
    assert [box.corners for box in found] == [(0.1, 0.1, 0.5, 1.02)]
    assert [line.partition(": ")[2] for line in faults.lines] == [
        "expected an outline of points between 0 and 1, got 7",
        "expected an outline of points between 0 and 1, got 10",
    ]
