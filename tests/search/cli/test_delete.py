from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_everything_of_a_study_is_deleted_and_nothing_else(here: Path, ftsearch: Callable[..., Any]) -> None:
    folder = here / "runs" / "colours"
    (folder / "notes.txt").write_text("mine")
    assert list(folder.glob("trial-*"))
    done = ftsearch("delete", "colours", "--yes")
    assert (done.code, "colours is deleted" in done.out) == (0, True), done.err
    assert [path.name for path in folder.iterdir()] == ["notes.txt"]
    assert "runs/colours still holds notes.txt" in done.out
    assert "No studies yet" in ftsearch("status").out
    import optuna

    assert optuna.study.get_all_study_names("sqlite:///runs/ftsearch.db") == []
    assert ftsearch("delete", "colours", "--yes").code == 2


def test_nothing_is_deleted_without_confirmation(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("n\n"))
    done = ftsearch("delete", "colours")
    assert (done.code, "nothing was deleted" in done.err) == (2, True)
    monkeypatch.setattr("sys.stdin", io.StringIO(""))
    assert "--yes" in ftsearch("delete", "colours").err
    monkeypatch.setattr("sys.stdin", None)  # closed by the caller
    assert "--yes" in ftsearch("delete", "colours").err
    sys.stdin.close()
    assert "6 of 6 trials" in ftsearch("status", "colours").out


def test_checkpoints_that_cannot_be_reached_keep_the_study(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("delete", "colours", "--yes", "--artifacts", here / "elsewhere")
    assert (done.code, "checkpoints are not in" in done.err) == (2, True)
    assert ftsearch("delete", "colours", "--yes", "--keep-artifacts").code == 0
    assert list((here / "runs" / "colours").glob("trial-*"))
