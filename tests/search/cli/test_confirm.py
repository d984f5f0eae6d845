from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.cli._progress import LOADING


def test_it_prints_what_fresh_seeds_say(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("confirm", "study.yaml", "--top", 1, "--seeds", 2)
    assert done.code == 0, done.err
    assert "(plain recipe)" in done.out
    assert "p (Holm)" in done.out
    assert "fresh trainings" in done.out
    found = ftsearch("confirm", "colours", "--top", 1, "--seeds", 2, "--json").data
    assert sorted(row["is_baseline"] for row in found) == [False, True]
    assert all(len(row["values"]) == 2 for row in found)
    assert "Confirmation" in _report(ftsearch)
    assert ftsearch("studies", "--json").out.count('"name"') == 1


def _report(ftsearch: Callable[..., Any]) -> str:
    assert ftsearch("report", "colours").code == 0
    return Path("runs/colours/report.html").read_text()


def test_work_can_be_left_to_workers(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("confirm", "colours", "--top", 1, "--seeds", 1, "--enqueue")
    assert "Queued: 2 trainings. Running workers pick them up; to start one: ftsearch worker colours" in done.out
    assert "2 of 2 fresh trainings are still to come." in ftsearch("status", "colours").out
    assert ftsearch("worker", "colours").code == 0
    assert "With 1 fresh training " in ftsearch("status", "colours").out
    done = ftsearch("confirm", "colours", "--top", 1, "--seeds", 1, "--enqueue")
    assert "wait" not in done.out


def test_wrong_numbers_are_one_line(here: Path, ftsearch: Callable[..., Any]) -> None:
    for arguments, message in (
        (("--top", 0), "--top must be at least 1, got 0"),
        (("--fractions", "2.0"), "above 0 and at most 1, got 2"),
        (("--fractions", "some"), "--fractions: expected numbers such as 0.1,0.25,1, got 'some'"),
        (("--fractions", ""), "got none"),
        (("--folds", 100), "at most 12 folds are possible"),
    ):
        done = ftsearch("confirm", "colours", *arguments)
        assert done.code == 2
        assert message in done.err
        assert len([line for line in done.err.strip().splitlines() if LOADING not in line]) == 1
    assert ftsearch("confirm", "nothing").code == 2
