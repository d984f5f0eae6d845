"""A deleted study is gone with its checkpoints, and others stay."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from search.api import delete_study, load_study
from search.artifacts import partial_files
from search.artifacts.stores import resuming
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


def test_what_killed_workers_left_goes_with_the_study(url: str, tmp_path: Path) -> None:
    place = tmp_path / "runs" / "colours"
    (mark,) = place.glob("artifacts-*")
    key = mark.read_text()
    dead = partial_files.name_for(".safetensors").replace(f"-{os.getpid()}-", "-4194305-")
    for name in (f"{resuming(key, 7)}epoch-00001-a.safetensors", f"trial-00009-{'a' * 16}.safetensors", dead):
        (place / name).parent.mkdir(exist_ok=True)
        (place / name).touch()
    delete_study("colours", storage=url)
    assert not [path for path in place.rglob("*") if path.suffix == ".safetensors" or path.name.startswith("resume-")]
