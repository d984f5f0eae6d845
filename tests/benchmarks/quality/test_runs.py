"""Results outlive a kill, and what is there is not run again."""

from __future__ import annotations

from pathlib import Path

import pytest
from quality.runs import Question, Run, complete, read

QUESTIONS = [Question("birds", name, 30.0, 0, "mobilenet_v2", 128, 1) for name in ("plain", "linear")]


def answered(question: Question, hits: int = 5) -> Run:
    return Run(question, hits, 10, 33.0, 40.0, 0.1, "abc", {"start": 3.0}, {"trials": {"complete": 2}})


def test_a_measurement_goes_on_where_it_was_killed(tmp_path: Path) -> None:
    path, asked = tmp_path / "runs.json", []

    def killed(question: Question) -> Run:
        if question.contender == "linear":
            raise KeyboardInterrupt
        return answered(question)

    with pytest.raises(KeyboardInterrupt):
        complete(path, QUESTIONS, killed)
    runs = complete(path, QUESTIONS, lambda question: asked.append(question) or answered(question))
    assert asked == QUESTIONS[1:]
    assert runs == read(path) == [answered(question) for question in QUESTIONS]
    assert [one.name for one in tmp_path.iterdir()] == ["runs.json"]


def test_a_contender_is_measured_again_when_asked_and_others_keep_their_place(tmp_path: Path) -> None:
    path = tmp_path / "runs.json"
    complete(path, QUESTIONS, answered)
    runs = complete(path, QUESTIONS[1:], lambda question: answered(question, hits=9), again=["linear", "plain"])
    assert [(run.asked.contender, run.hits) for run in runs] == [("linear", 9)]
    assert [(run.asked.contender, run.hits) for run in read(path)] == [("plain", 5), ("linear", 9)]


def test_accuracy_and_overrun() -> None:
    run = answered(QUESTIONS[0])
    assert (run.accuracy, run.overrun_s) == (0.5, 3.0)
    assert Run(QUESTIONS[0], 0, 0, 20.0, 20.0, 0.0, "abc", failure="killed").accuracy == 0
