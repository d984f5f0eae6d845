from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.errors import RunError
from search.model.formats import model_formats


def test_a_winner_is_exported_in_several_formats(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("export", "colours", "--format", "safetensors", "--format", "pt2", "-o", "out")
    assert done.code == 0, done.err
    assert "model.pt2: outputs differ by" in done.out
    assert "Next: ftsearch predict out" in done.out
    assert {path.name for path in Path("out").iterdir()} == {
        *("README.md", "SHA256SUMS", "candidate.json", "model.json", "model.pt2", "model.safetensors")
    }


def test_a_format_that_fails_is_a_line_beside_those_that_were_written(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object) -> None:
        raise RunError("this network cannot be written as pt2: it refuses; leave that format out")

    monkeypatch.setattr(type(model_formats()["pt2"]), "write", refuse)
    words = ("export", "colours", "--format", "pt2", "--format", "safetensors", "-o", "my model")
    done = ftsearch(*words)
    assert done.code == 1
    assert "pt2 was not written: this network cannot be written as pt2: it refuses" in done.out
    assert "model.safetensors: outputs differ by" in done.out
    assert "Next: ftsearch predict 'my model' IMAGE_OR_FOLDER" in done.out
    assert Path("my model", "model.safetensors").is_file()
    found = ftsearch(*words, "--json")
    assert found.code == 1
    assert list(found.data["failed"]) == ["pt2"]


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
