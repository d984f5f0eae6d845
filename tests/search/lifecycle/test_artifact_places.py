"""A study's checkpoints are found again where they are, also when the folder moved with its store."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import update

from search.api import load_study, open_artifacts
from search.errors import NotFoundError, UserError
from search.lifecycle import artifact_places
from search.lifecycle.artifact_places import study_artifacts
from search.store.connection import writing
from search.store.opening import opened
from search.store.tables import StudyRow


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


def test_a_worker_killed_before_the_store_knows_the_place_leaves_no_mark_of_its_own(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with opened(url) as engine:
        with writing(engine) as connection:
            connection.execute(update(StudyRow).values(artifacts=None))  # as before its first worker came
        place = str(tmp_path / "new")
        with monkeypatch.context() as patch:
            patch.setattr(artifact_places.writing, "place_artifacts", killed)
            with pytest.raises(KeyboardInterrupt):
                study_artifacts(engine, "colours", place)
        _, key = study_artifacts(engine, "colours", place)
        assert [path.name for path in Path(place).iterdir()] == [f"artifacts-{key}"]


def killed(*_: object) -> None:
    raise KeyboardInterrupt
