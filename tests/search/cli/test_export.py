from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_winner_is_exported_in_several_formats(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("export", "colours", "--format", "safetensors", "--format", "pt2", "-o", "out")
    assert done.code == 0, done.err
    assert "model.pt2: outputs differ by" in done.out
    assert "Next: ftsearch predict out" in done.out
    assert {path.name for path in Path("out").iterdir()} == {
        *("README.md", "SHA256SUMS", "candidate.json", "model.json", "model.pt2", "model.safetensors")
    }


def test_it_prints_as_json(here: Path, ftsearch: Callable[..., Any]) -> None:
    found = ftsearch("export", "study.yaml", "--json").data
    assert found["folder"] == "runs/colours/model"
    assert found["files"] == {"safetensors": "model.safetensors"}


def test_wrong_input_is_one_line_and_exit_2(here: Path, ftsearch: Callable[..., Any]) -> None:
    Path("taken").mkdir()
    Path("taken", "thesis.txt").write_text("years of work")
    wrong = (
        (("export", "colours", "--format", "tflite"), "unknown model format 'tflite'"),
        (("export", "colour"), "did you mean 'colours'?"),
        (("export", "colours", "--candidate", "77"), "has no trial 77"),
        (("export", "colours", "-o", "taken"), "holds other files (thesis.txt)"),
        (("export", "colours", "--storage", "sqlite:///nowhere.db"), "no store at nowhere.db"),
    )
    for arguments, message in wrong:
        done = ftsearch(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
    assert Path("taken", "thesis.txt").read_text() == "years of work"
