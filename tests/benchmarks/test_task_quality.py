"""The table of the search against the plain recipe."""

from __future__ import annotations

from quality.runs import Question, Run
from task_quality import report


def run(contender: str, seed: int, score: float | None, failure: str = "") -> Run:
    asked = Question("cells", contender, 300.0, seed, "mobilenet_v2", 128, 1)
    return Run(asked, 0, 0, 290.0, 300.0, 0.1, "abc", {"start": 3.0}, {"winner": "FCOS"}, failure, score)


def test_the_difference_is_of_the_same_seeds() -> None:
    runs = [run("plain", 0, 0.2), run("ftsearch", 0, 0.3), run("plain", 1, 0.1), run("ftsearch", 1, 0.22)]
    lines = list(report([*runs, run("plain", 2, 0.9)], "detection"))
    assert "mAP" in lines[0]
    assert lines[2].split()[:5] == ["plain", "20.0", "10.0", "90.0", "40.0"]
    assert lines[3].split()[:4] == ["ftsearch", "30.0", "22.0", "26.0"]
    assert any("+11.0 ± 12.7 (95 %, 2 seeds)" in line for line in lines)


def test_a_run_without_a_model_counts_as_nothing_and_is_told() -> None:
    lines = list(report([run("plain", 0, 0.2), run("ftsearch", 0, None, "exit 1: no")], "detection"))
    assert "  no model: seed 0: exit 1: no" in lines
    assert any("-20.0" in line for line in lines)
