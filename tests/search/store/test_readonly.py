from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from search.errors import NotFoundError, SchemaError, StoreUrlError
from search.records.study import StudyRecord
from search.store import connection, migrate, reading, readonly, writing


def test_it_reads_and_the_database_itself_refuses_to_write(
    engine: connection.Engine, url: str, record: StudyRecord
) -> None:
    writing.create_study(engine, record)
    found = readonly.connect(url)
    assert reading.load_study(found, "s").name == "s"
    with pytest.raises(DBAPIError, match=r"(?i)read[- ]?only"), found.begin() as link:
        link.execute(text("DELETE FROM ft_study"))
    with pytest.raises(DBAPIError, match=r"(?i)read[- ]?only"), found.begin() as link:
        link.execute(text("CREATE TABLE evil (id INTEGER)"))
    assert reading.load_study(found, "s").name == "s"
    found.dispose()


def test_what_a_journal_holds_is_read_where_nothing_can_be_written(
    tmp_path: Path, record: StudyRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    engine = connection.connect(f"sqlite:///{tmp_path}/live.db")
    migrate.upgrade(engine)
    writing.create_study(engine, record)  # still in the journal
    copy = tmp_path / "copy"
    copy.mkdir()
    for name in ("live.db", "live.db-wal"):
        (copy / name).write_bytes((tmp_path / name).read_bytes())
    engine.dispose()
    copy.chmod(0o555)
    monkeypatch.setattr(os, "access", lambda _, mode: not mode & os.W_OK)  # root may do everything
    found = readonly.connect(f"sqlite:///{copy}/live.db")
    assert [study.name for study in reading.list_studies(found)] == ["s"]
    with pytest.raises(DBAPIError, match="readonly"), found.begin() as link:
        link.execute(text("DELETE FROM ft_study"))
    found.dispose()
    copy.chmod(0o755)
    assert sorted(path.name for path in copy.iterdir()) == ["live.db", "live.db-wal"]


def test_a_missing_store_is_not_made(tmp_path: Path) -> None:
    with pytest.raises(NotFoundError, match="no store at"):
        readonly.connect(f"sqlite:///{tmp_path}/none.db")
    assert not list(tmp_path.iterdir())


def test_another_schema_is_refused(url: str) -> None:
    connection.connect(url).dispose()
    if url.startswith("sqlite"):
        Path(url.removeprefix("sqlite:///")).touch()
    with pytest.raises(SchemaError, match="has schema none"):
        readonly.connect(url)


def test_a_server_that_does_not_answer_is_reported_without_its_password() -> None:
    with pytest.raises(StoreUrlError) as raised:
        readonly.connect("postgresql://u:secret@127.0.0.1:1/x")
    assert "secret" not in str(raised.value)
