"""A study's checkpoints are found again where they are, also when the folder moved with its store."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.api import load_study, open_artifacts
from search.errors import NotFoundError, UserError


def test_weights_are_read_from_where_the_study_keeps_them(url: str) -> None:
    best = load_study("colours", storage=url).best
    assert best is not None
    assert best.checkpoint is not None
    assert open_artifacts("colours", storage=url).get(best.checkpoint)


def test_a_moved_folder_is_named(url: str, tmp_path: Path) -> None:
    moved = tmp_path / "elsewhere"
    (tmp_path / "runs" / "colours").rename(moved)
    best = load_study("colours", storage=url).best
    assert best is not None
    assert best.checkpoint is not None
    assert open_artifacts("colours", storage=url, artifacts=str(moved)).get(best.checkpoint)
    with pytest.raises(UserError):
        open_artifacts("colours", storage=url)


def test_an_unknown_study_has_none(url: str) -> None:
    with pytest.raises(NotFoundError, match="colors"):
        open_artifacts("colors", storage=url)
