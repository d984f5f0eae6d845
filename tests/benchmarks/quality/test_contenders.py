"""Answers are counted against the folders that test images lie in."""

from __future__ import annotations

from pathlib import Path

from quality.accounting import Spent
from quality.contenders import counted, why


def test_an_image_without_an_answer_is_wrong(tmp_path: Path) -> None:
    for name in ("ant/1.jpg", "ant/2.JPG", "bee/inner/3.png", "bee/notes.txt"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    said = {tmp_path / "ant/1.jpg": "ant", tmp_path / "bee/inner/3.png": "bee"}
    assert counted(said, tmp_path) == (2, 3)
    assert counted(dict.fromkeys(said, "ant"), tmp_path) == (1, 3)


def test_a_failure_is_one_line() -> None:
    assert why(Spent(5, 5, 1, False, "", "Traceback\n  x\nValueError: no\n")) == "exit 1: ValueError: no"
    assert why(Spent(75.2, 80, -9, True, "", "")) == "killed after 75 CPU seconds"
