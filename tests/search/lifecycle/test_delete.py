"""A deleted study is gone with its checkpoints, and others stay."""

from __future__ import annotations

from pathlib import Path

import pytest

from search.api import delete_study, load_study
from search.errors import NotFoundError


def test_a_deleted_study_leaves_no_row_and_no_weights(url: str, tmp_path: Path) -> None:
    assert list((tmp_path / "runs").rglob("*.safetensors"))
    delete_study("colours", storage=url)
    assert not list((tmp_path / "runs").rglob("*.safetensors"))
    with pytest.raises(NotFoundError, match="colours"):
        load_study("colours", storage=url)


def test_checkpoints_may_stay(url: str, tmp_path: Path) -> None:
    before = set((tmp_path / "runs").rglob("*.safetensors"))
    delete_study("colours", storage=url, keep_artifacts=True)
    assert set((tmp_path / "runs").rglob("*.safetensors")) == before
