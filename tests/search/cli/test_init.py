from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_init_writes_a_study_file_that_plans(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("init", "data", "--backbone", "squeezenet1_1")
    assert done.code == 0, done.err
    text = (here / "data.yaml").read_text()
    (here / "data.yaml").write_text(
        text.replace("weights: default", "weights: none").replace("input_size: 224", "input_size: 32")
    )
    assert ftsearch("plan", "data.yaml").code == 0
    again = ftsearch("init", "data")
    assert again.code == 2
    assert "--force" in again.err


def test_init_of_a_folder_without_classes_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "empty").mkdir()
    done = ftsearch("init", "empty")
    assert done.code == 2
    assert "no class folders" in done.err
