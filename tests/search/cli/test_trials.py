from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_trials_are_listed_as_table_csv_and_json(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert "plain recipe" in ftsearch("trials", "colours").out
    found = ftsearch("trials", "colours", "--json").data
    assert [trial["number"] for trial in found] == list(range(6))
    assert {"number", "state", "value", "candidate"} <= set(found[0])
    lines = ftsearch("trials", "colours", "--csv").out.splitlines()
    assert len(lines) == 7
    assert {"number", "state", "value", "freeze"} <= set(lines[0].split(","))


def test_json_and_csv_exclude_each_other(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert ftsearch("trials", "colours", "--json", "--csv").code == 2


def test_a_study_file_that_is_not_there_is_named_once(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("trials", "missing.yaml")
    assert done.code == 2
    assert done.err.strip() == "Error: cannot read the study file missing.yaml: No such file or directory"


@pytest.mark.parametrize("width", [40, 80, 160])
def test_numbers_and_candidates_are_whole_at_any_width(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    text = ftsearch("trials", "colours").out
    assert "…" not in text
    together = "".join(text.split())
    for trial in ftsearch("trials", "colours", "--json").data:
        if trial["value"] is not None:
            assert f"{trial['value']:.4f}" in text
        assert "".join(trial["words"].split()) in together
    assert max(map(len, text.split("\n"))) <= width
