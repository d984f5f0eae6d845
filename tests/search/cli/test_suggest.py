from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image


def test_it_proposes_candidates_and_writes_a_study_that_begins_with_them(
    here: Path, ftsearch: Callable[..., Any]
) -> None:
    done = ftsearch("suggest", "data", "--count", 2, "-o", "next")
    assert done.code == 0, done.err
    assert "classification, 30 training images, 3 classes" in done.out
    assert "colours trial" in done.out
    assert "seen once" in done.out
    assert len(list(Path("next").glob("*.json"))) >= 1
    assert ftsearch("plan", "next/study.yaml").code == 0
    found = ftsearch("suggest", "data", "--count", 1, "--json").data
    assert found[0]["study"] == "colours"
    assert found[0]["candidate"]["structure"]["backbone"] == "torchvision:squeezenet1_1"


def test_wrong_input_is_one_line(here: Path, ftsearch: Callable[..., Any]) -> None:
    for arguments, message in (
        (("data", "--count", 0), "--count must be at least 1, got 0"),
        (("nowhere",), "nowhere does not exist"),
        (("data", "--backbone", "resnet18"), "with the backbone torchvision:resnet18"),
        (("data", "--task", "cooking"), "--task: expected one of"),
        (("data", "--storage", "sqlite:///none.db"), "no store at none.db"),
    ):
        done = ftsearch("suggest", *arguments)
        assert done.code == 2
        assert message in done.err
        assert len(done.err.strip().splitlines()) == 1


def test_masks_are_recognised_as_init_does(here: Path, ftsearch: Callable[..., Any]) -> None:
    """Images beside masks are not two classes of these names."""
    random = np.random.default_rng(0)
    for name, mode in (("images", "RGB"), ("masks", "L")):
        (here / "seg" / name).mkdir(parents=True)
        for number in range(6):
            shape = (16, 16, 3) if mode == "RGB" else (16, 16)
            pixels = random.integers(0, 2 if mode == "L" else 255, shape).astype(np.uint8)
            Image.fromarray(pixels).save(here / "seg" / name / f"{number}.png")
    done = ftsearch("suggest", "seg")
    assert done.code == 2
    assert "no study of the task segmentation in this store has a complete trial yet" in done.err
    wrong = ftsearch("suggest", "seg", "--task", "classification")
    assert (wrong.code, "holds no data that are known for the task classification" in wrong.err) == (2, True)
