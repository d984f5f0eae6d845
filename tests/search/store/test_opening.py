"""The store as a context: connected, migrated, closed; a file that must exist is not made."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import Engine, text

from search.errors import DatabaseError, NotFoundError, SchemaError, StoreUrlError
from search.store import connection, migrate, reading, writing
from search.store.opening import check_exists, is_writable, opened


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


def test_servers_answer_in_their_own_dialect() -> None:
    check_exists("postgresql://nobody@127.0.0.1:1/none")


@pytest.fixture
def locked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a store that this process may only read; root is made to see it so, as it may do everything."""
    url = f"sqlite:///{tmp_path}/store.db"
    with opened(url):
        pass
    for path in tmp_path.iterdir():
        if path.name != "store.db":
            path.unlink()
    (tmp_path / "store.db").chmod(0o444)
    tmp_path.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    return url


def test_a_store_that_may_only_be_read_can_be_looked_at(locked: str, tmp_path: Path) -> None:
    with opened(locked, must_exist=True) as engine:
        assert reading.list_studies(engine) == ()
        with pytest.raises(DatabaseError, match=rf"store at {locked} can only be read, so nothing was changed"):
            writing.request_stop(engine, "s")
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    tmp_path.chmod(0o755)


def test_writing_to_a_read_only_store_is_refused_at_once(locked: str, tmp_path: Path) -> None:
    with pytest.raises(StoreUrlError, match="can only be read, so nothing was changed; give it write permission"):
        connection.connect(locked)
    assert [path.name for path in tmp_path.iterdir()] == ["store.db"]
    tmp_path.chmod(0o755)


def test_a_read_only_server_is_reported_too(postgres: str) -> None:
    engine = connection.connect(f"{postgres}&options=-c%20default_transaction_read_only%3Don")
    with pytest.raises(DatabaseError, match=r"can only be read, so nothing was changed; give it a server or user that"):
        connection.insist(lambda: _write(engine), "a call", connection.patience_of(engine))
    engine.dispose()


def _write(engine: connection.Engine) -> None:
    with connection.writing(engine) as link:
        link.execute(text("CREATE TABLE written (x INTEGER)"))


def test_one_of_another_schema_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "store.db").touch()
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)
    with pytest.raises(SchemaError, match="has schema none"), opened(f"sqlite:///{tmp_path}/store.db", must_exist=True):
        pass


def test_servers_report_it_themselves() -> None:
    assert is_writable("postgresql://nobody@127.0.0.1:1/none")
