from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any


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
        "freeze",
        "smallest",
        "largest",
        "optimizer.sgd.lr_head",
        "from scratch",
    ):
        assert part in done.out
    assert sorted((here / "runs").rglob("*")) == before


def test_a_decision_that_does_not_apply_is_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    text = (here / "study.yaml").read_text().replace("space: {", "space: {kernel: {sizes: [3]}, ")
    (here / "study.yaml").write_text(text)
    assert "kernel drops out:" in ftsearch("plan", "study.yaml").out


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
