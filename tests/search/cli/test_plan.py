from __future__ import annotations

import os
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.runtime.study_runtime import StudyRuntime


def test_a_plan_shows_data_units_decisions_and_costs_and_stores_nothing(
    here: Path, ftsearch: Callable[..., Any]
) -> None:
    before = sorted((here / "runs").rglob("*"))
    done = ftsearch("plan", "study.yaml")
    assert done.code == 0, done.err
    for part in (
        "3 classes",
        "red",
        "features.0",
        "units frozen",
        "smallest",
        "largest",
        "head learning rate (SGD)",
        "from scratch",
    ):
        assert part in done.out
    assert sorted((here / "runs").rglob("*")) == before


def test_a_decision_that_does_not_apply_is_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    text = (here / "study.yaml").read_text().replace("space: {", "space: {kernel: {sizes: [3]}, ")
    (here / "study.yaml").write_text(text)
    said = ftsearch("plan", "study.yaml").out
    assert "kernel drops out:" in said
    assert "likely to be reached" not in said, "no time limit"


def test_a_time_limit_promises_no_number_of_trials(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StudyRuntime, "measure", lambda *_: 30.0)  # of an epoch, of which there are two
    said = ftsearch("plan", "study.yaml", "--timeout", "150s").out
    assert "as many trials as fit into 2 min 30 s, at most 6, of up to 2 epochs" in said
    assert re.search("in 2 min 30 s, at least [2-5] of these are likely to be reached", said), said
    assert "the plain recipe, about 1 min 00 s, takes more than a tenth of that and is left out" in said
    assert "with --timeout 10m it is tried" in said
    said = ftsearch("plan", "study.yaml", "--timeout", "2h").out
    assert "in 2 h 00 min, all of these and more are likely to be reached" in said
    assert "is left out" not in said


def test_objectives_constraints_and_every_backbone_are_shown(here: Path, ftsearch: Callable[..., Any]) -> None:
    text = (here / "study.yaml").read_text().replace("squeezenet1_1", "[squeezenet1_1, mnasnet0_5]")
    (here / "study.yaml").write_text(text + "objectives: [accuracy, latency]\nconstraints: {parameters: < 700k}\n")
    done = ftsearch("plan", "study.yaml")
    assert done.code == 0, done.err
    for part in ("SqueezeNet", "MNASNet", "latency (less is better)", "parameters < 700k", "of 32 random candidates"):
        assert part in done.out


def test_images_that_are_in_training_and_validation_are_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    for folder in sorted((here / "data").iterdir()):
        first, *others = sorted(folder.iterdir())
        for other in others:
            other.write_bytes(first.read_bytes())
    assert "images are in training too, so results on them are too optimistic" in ftsearch("plan", "study.yaml").out


def test_names_in_brackets_and_names_that_are_not_utf_8_are_shown_as_they_are(
    here: Path, ftsearch: Callable[..., Any]
) -> None:
    (here / "data" / "red").rename(here / "data" / "[bold]red")
    (here / "data" / "blue").rename(here / "data" / os.fsdecode(b"bl\xe9u[]"))
    done = ftsearch("plan", "study.yaml")
    assert done.code == 0, done.err
    assert "[bold]red" in done.out
    assert "bl\\udce9u[]" in done.out
