from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.mark.parametrize("name", ["colours", "study.yaml"])
def test_status_counts_trials(here: Path, ftsearch: Callable[..., Any], name: str) -> None:
    done = ftsearch("status", name)
    assert done.code == 0, done.err
    assert "6 of 6 trials" in done.out


@pytest.mark.parametrize("width", [40, 80, 160])
def test_numbers_are_whole_at_any_width(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    found = ftsearch("status", "colours", "--json").data
    for text in (ftsearch("status", "colours").out, ftsearch("status").out):
        assert "…" not in text
        assert max(map(len, text.split("\n"))) <= width
        assert f"{found['best']:.4f}" in text
        assert f"{found['baseline']:.4f}" in text


def test_status_of_all_studies_and_as_data(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert "colours" in ftsearch("status").out
    found = ftsearch("status", "colours", "--json").data
    assert found["target"] == 6
    assert sum(found["states"].values()) == 6


def test_unknown_studies_and_stores_are_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("status", "colors")
    assert (done.code, "did you mean 'colours'" in done.err) == (2, True)
    done = ftsearch("status", "--storage", "sqlite:///absent.db")
    assert (done.code, "no store at absent.db" in done.err) == (2, True)
    assert not (here / "absent.db").exists()
    (here / "nameless.yaml").write_text("a: 1\n")
    assert "has no 'name'" in ftsearch("status", "nameless.yaml").err
