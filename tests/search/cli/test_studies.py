from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.store import DEFAULT_URL


def test_studies_are_listed(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert "6 of 6" in ftsearch("studies").out
    (found,) = ftsearch("studies", "--json").data
    assert found["name"] == "colours"


def test_a_narrow_terminal_keeps_the_columns(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "80")
    head, line, words = ftsearch("studies").out.splitlines()[:3]
    assert head.split() == ["study", "trials", "best", "plain", "recipe", "metric"]
    assert line.startswith("colours  6 of 6")
    assert words.strip().startswith("classification, ")


def test_an_empty_store_says_how_to_begin(here: Path, ftsearch: Callable[..., Any]) -> None:
    from search.store import connection, migrate

    engine = connection.connect("sqlite:///empty.db")
    migrate.upgrade(engine)
    engine.dispose()
    assert "ftsearch run" in ftsearch("studies", "--storage", "sqlite:///empty.db").out


def test_a_study_whose_validation_is_in_training_is_marked(here: Path, ftsearch: Callable[..., Any]) -> None:
    from sqlalchemy import select, update

    from search.store import connection
    from search.store.tables import StudyRow

    engine = connection.connect(DEFAULT_URL)
    with connection.writing(engine) as link:
        dataset = link.execute(select(StudyRow.dataset)).scalar_one()
        overlaps = [{"split": "val", "count": 3, "total": 30, "first": "[red]/a.png"}]
        link.execute(update(StudyRow).values(dataset={**dataset, "overlaps": overlaps}))
    engine.dispose()
    said = ftsearch("studies").out
    assert "(leaks)" in said
    assert "colours: 3 of 30 validation images are in training too, so results on them are too optimistic" in said
    assert "[red]/a.png" in said
    assert "3 of 30" in ftsearch("studies", "--json").data[0]["leak"]
