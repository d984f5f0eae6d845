"""The store as a context: connected, migrated, closed; a file that must exist is not made."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Engine

from search.errors import NotFoundError
from search.store import migrate, reading
from search.store.opening import check_exists, opened


def test_a_new_store_has_the_newest_schema(tmp_path: Path) -> None:
    with opened(f"sqlite:///{tmp_path}/runs/new.db") as engine:
        assert migrate.current(engine) == migrate.head()
        assert reading.list_studies(engine) == ()


def test_connections_are_closed_at_the_end_whatever_happens(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disposed: list[Engine] = []
    dispose = Engine.dispose
    monkeypatch.setattr(Engine, "dispose", lambda engine: (disposed.append(engine), dispose(engine))[1])
    url = f"sqlite:///{tmp_path}/new.db"
    with pytest.raises(RuntimeError, match="within"), opened(url) as engine:
        raise RuntimeError("within")
    assert disposed == [engine]

    def refuse(_: Engine) -> None:
        raise RuntimeError("no migration")

    monkeypatch.setattr(migrate, "upgrade", refuse)
    with pytest.raises(RuntimeError, match="no migration"), opened(url):
        pass
    assert len(disposed) == 2


@pytest.mark.parametrize("text", ["sqlite:///{}/none.db", "{}/none.db"])
def test_a_file_that_must_exist_is_not_made(text: str, tmp_path: Path) -> None:
    url = text.format(tmp_path)
    with pytest.raises(NotFoundError, match=r"no store at .*none\.db; start a study"), opened(url, must_exist=True):
        pass
    assert not list(tmp_path.iterdir())
    with opened(url):
        check_exists(url)


def test_servers_answer_for_themselves() -> None:
    check_exists("postgresql://nobody@127.0.0.1:1/none")
