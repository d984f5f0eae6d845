from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_studies_are_listed(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert "6 of 6" in ftsearch("studies").out
    (found,) = ftsearch("studies", "--json").data
    assert found["name"] == "colours"


def test_an_empty_store_says_how_to_begin(here: Path, ftsearch: Callable[..., Any]) -> None:
    from search.store import connection, migrate

    engine = connection.connect("sqlite:///empty.db")
    migrate.upgrade(engine)
    engine.dispose()
    assert "ftsearch run" in ftsearch("studies", "--storage", "sqlite:///empty.db").out
