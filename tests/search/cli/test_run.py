from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


def test_a_run_ends_with_ranking_gain_report_and_the_next_command(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("run", "study.yaml", "--trials", 7)
    assert done.code == 0, done.err
    for part in (
        "6 of 7 trials done",
        "trial 6: epoch 1",
        "rank",
        "Result: accuracy ",
        "Winner: ",
        "Report: runs/colours/report.html",
        "Next:",
    ):
        assert part in done.out
    last = [line.partition(":")[0] for line in done.out.rstrip().split("\n")[-4:]]
    assert last == ["Report", "Result", "Winner", "Next"]
    assert (here / "runs/colours/report.html").exists()


def test_the_report_can_be_left_out(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("run", "study.yaml", "--no-report")
    assert done.code == 0
    assert "Report:" not in done.out
    assert not (here / "runs/colours/report.html").exists()


def test_wrong_input_is_one_line_and_exit_code_two(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "wrong.yaml").write_text("name: x\n")
    for arguments, reason in (
        (("run", "absent.yaml"), "cannot read the study file absent.yaml"),
        (("run", "wrong.yaml"), "wrong.yaml:1: backbone: this key is needed"),
        (("run", "study.yaml", "--timeout", "soon"), "--timeout: expected a duration"),
        (("run", "study.yaml", "--timeout", "0"), "expected a time above 0"),
        (("run", "study.yaml", "--storage", "nonsense"), "malformed storage URL"),
        (("run", "study.yaml", "--device", "tpu"), "device must be auto"),
        (("run", "study.yaml", "--storage", "postgresql://me:secret@127.0.0.1:1/x"), "cannot reach the database"),
        (("run", "study.yaml", "--trials", 0), "trials"),
        (("run",), "STUDY.yaml"),
        (("walk",), "walk"),
    ):
        done = ftsearch(*arguments)
        assert done.code == 2, arguments
        assert reason in done.err
        assert "Traceback" not in done.err
        assert "secret" not in done.err


def test_a_study_whose_trials_all_fail_ends_with_exit_code_one(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    from search.trials import attempt

    def fail(*_: object) -> None:
        raise RuntimeError("something odd")

    monkeypatch.setattr(attempt, "fit", fail)
    text = (here / "study.yaml").read_text().replace("name: colours", "name: odd").replace("trials: 6", "trials: 2")
    (here / "odd.yaml").write_text(text)
    done = ftsearch("run", "odd.yaml")
    assert done.code == 1
    assert "2 failed" in done.out
    said = [line for line in (done.out + done.err).splitlines() if "something odd" in line]
    assert said[:2] == [f"trial {number}: failed (something odd)" for number in (0, 1)], "once, as it happens"


def test_a_run_ends_with_a_model_that_predicts(here: Path, ftsearch: Callable[..., Any]) -> None:
    text = (here / "study.yaml").read_text().replace("final: off", "final: {share: 0.6}")
    (here / "study.yaml").write_text(text)
    done = ftsearch("run", "study.yaml")
    assert done.code == 0, done.err
    assert "final training 0: trained on train+val" in done.out
    assert "Model: runs/colours/model: " in done.out
    assert "no images are left to score it on" in done.out
    assert "Next: ftsearch predict runs/colours/model IMAGE_OR_FOLDER" in done.out
    found = ftsearch("best", "colours", "--json").data
    assert found["final"]["trial"] == found["number"]
    assert len(found["contenders"]) != 1
    assert "trained on train and validation data" in ftsearch("best", "colours").out
    assert ftsearch("predict", "runs/colours/model", "data/red").code == 0


def test_a_run_may_end_without_a_model(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "study.yaml").write_text((here / "study.yaml").read_text().replace(", final: off", ""))
    done = ftsearch("run", "study.yaml", "--no-final")
    assert "Model:" not in done.out
    assert not (here / "runs/colours/model").exists()
