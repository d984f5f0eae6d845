from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from search.cli._progress import LOADING


def test_missing_test_images_are_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("refit", "study.yaml", "--epochs", 1)
    assert done.code == 0, done.err
    assert "the data set has no test images, so there is no final number." in done.out
    assert "Weights: refit-00000-" in done.out
    again = ftsearch("refit", "colours", "--epochs", 1, "--json").data
    assert (again["number"], again["test"], again["look"]) == (0, {}, None)


def test_wrong_candidates_are_one_line(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "no.json").write_text('{"candidate": 3}')
    for arguments, message in (
        (("--candidate", "77"), "the study 'colours' has no trial 77; it has 6, numbered from 0"),
        (("--candidate", "missing.json"), "cannot read the candidate missing.json"),
        (("--candidate", "no.json"), "no.json is not a candidate: candidate must be a mapping"),
        (
            ("--candidate", "worst"),
            "refit, a candidate's file or the number of a trial of 'colours', got 'worst'",
        ),
        (("--on", "test"), "--on: expected train+val or train, got 'test'"),
        (("--epochs", 0), "--epochs must be at least 1, got 0"),
    ):
        done = ftsearch("refit", "colours", *arguments)
        assert done.code == 2
        assert message in done.err
        assert len([line for line in done.err.strip().splitlines() if LOADING not in line]) == 1
