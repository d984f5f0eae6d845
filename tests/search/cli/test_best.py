from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_the_winner_is_reported_in_words_and_as_data(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("best", "colours")
    assert done.code == 0, done.err
    found = ftsearch("best", "colours", "--json").data
    assert found["words"].split(",")[0] in done.out
    trials = ftsearch("trials", "colours", "--json").data
    best = [trial for trial in trials if trial["state"] == "complete" and trial["value"] == found["value"]]
    assert found["parameters"] == min(trial["parameters"] for trial in best)
    assert found["tied"] == [trial["number"] for trial in best if trial["number"] != found["number"]]
    assert found["value"] == max(trial["value"] for trial in trials if trial["state"] == "complete")


@pytest.mark.parametrize("width", [40, 80, 160])
def test_sentences_are_broken_between_words(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, width: int
) -> None:
    whole = ftsearch("best", "colours").out.split()
    monkeypatch.setenv("COLUMNS", str(width))
    text = ftsearch("best", "colours").out
    assert [line for line in text.split("\n") if len(line) > width and not line.startswith("Weights: ")] == []
    assert text.split() == whole


def test_a_study_without_a_complete_trial_has_no_winner(here: Path, ftsearch: Callable[..., Any]) -> None:
    from search.store import connection

    engine = connection.connect("sqlite:///runs/ftsearch.db")
    with engine.begin() as link:
        link.exec_driver_sql("UPDATE ft_trial SET state = 'failed'")
    engine.dispose()
    done = ftsearch("best", "colours")
    assert done.code == 1
    assert "no complete trial" in done.err


def test_the_result_is_printed_before_what_takes_long(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    from search import cli
    from search.lifecycle import repair

    before: list[str] = []
    monkeypatch.setattr(repair, "weights_words", lambda *_: (before.append(capsys.readouterr().out), ("here", True))[1])
    assert cli.main(["best", "colours"]) == 0
    assert before[0].startswith("Result: ")
    assert "Weights: here" in capsys.readouterr().out
