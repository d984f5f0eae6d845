from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from search.records.study import Overlap
from search.store import reading


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


def test_a_missing_study_file_is_named_once(here: Path, ftsearch: Callable[..., Any]) -> None:
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


def test_a_row_is_a_line_in_a_pipe(here: Path, ftsearch: Callable[..., Any]) -> None:
    head, *lines = ftsearch("trials", "colours").out.split("\n")
    trials = {str(trial["number"]): trial["words"] for trial in ftsearch("trials", "colours", "--json").data}
    place = head.index("trial") + len("trial")
    rows = {line[:place].split()[-1]: line for line in lines[: len(trials)]}
    assert rows.keys() == trials.keys()
    assert [number for number, words in trials.items() if not rows[number].endswith(words)] == []


@pytest.mark.parametrize("width", [80, 100])
def test_a_candidate_has_a_line_of_its_own_on_a_usual_terminal(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    monkeypatch.setenv("COLUMNS", str(width))
    lines = ftsearch("trials", "colours").out.split("\n")
    assert lines[0].split()[:3] == ["rank", "trial", "state"]
    assert "candidate" not in lines[0]
    assert lines[1].split()[0] == "1"
    assert lines[2].startswith("  SqueezeNet")


@pytest.mark.parametrize(
    "command",
    [
        ("trials", "colours"),
        ("best", "colours"),
        ("status", "colours"),
        ("diff", "colours:best", "colours:baseline"),
        ("refit", "colours"),
        ("confirm", "colours", "--top", "1", "--seeds", "1"),
    ],
    ids=lambda command: command[0],
)
def test_images_that_validation_shares_with_training_are_reported_beside_every_result(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, command: tuple[str, ...]
) -> None:
    load = reading.load_study

    def leaking(*args: Any, **options: Any) -> Any:
        study = load(*args, **options)
        return replace(study, dataset=replace(study.dataset, overlaps=(Overlap("val", 3, 9, "a.png"),)))

    monkeypatch.setattr(reading, "load_study", leaking)
    done = ftsearch(*command)
    assert done.code == 0, done.err
    assert "3 of 9 validation images are in training too, so results on them are too optimistic" in done.out
