from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_two_trials_are_compared_in_words(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("diff", "colours:baseline", "2")
    assert done.code == 0, done.err
    plain = next(one["number"] for one in ftsearch("trials", "colours", "--json").data if one["is_baseline"])
    for part in (
        f"trial {plain} of colours",
        "trial 2 of colours",
        "Decisions that differ",
        "parameters without head",
        "best epoch",
    ):
        assert part in done.out
    assert ftsearch("diff", plain, 2).out == done.out
    assert ftsearch("diff", plain, 2, "--study", "study.yaml").out == done.out
    assert "the same" in ftsearch("diff", plain, 2, "--all").out


def test_files_need_no_store(here: Path, ftsearch: Callable[..., Any]) -> None:
    Path("a.json").write_text(json.dumps(ftsearch("trials", "colours", "--json").data[0]["candidate"]))
    Path("b.json").write_text(json.dumps(ftsearch("best", "colours", "--json").data))
    expected = ftsearch("diff", "0", "best", "--json").data
    Path("runs").rename("away")
    assert ftsearch("diff", "a.json", "b.json", "--json").data == expected
    assert "Both are the same candidate." in ftsearch("diff", "a.json", "a.json").out


def test_wrong_input_is_one_line_and_exit_2(here: Path, ftsearch: Callable[..., Any]) -> None:
    Path("c.json").write_text("{}")
    wrong = (
        (("diff", "colours:99", "1"), "has no trial 99; it has 6, numbered from 0"),
        (
            ("diff", "colours:first", "1"),
            "refit or the number of a trial of 'colours', got 'first'",
        ),
        (("diff", "colour:1", "2"), "did you mean 'colours'?"),
        (("diff", "c.json", "0"), "c.json is not a candidate"),
        (("diff", "nowhere.json", "0"), "cannot read the candidate nowhere.json"),
    )
    for arguments, message in wrong:
        done = ftsearch(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
