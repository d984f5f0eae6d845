from __future__ import annotations

import os
import socket
import subprocess
import sys
import traceback
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, text
from sqlalchemy.exc import DBAPIError, OperationalError, PendingRollbackError

from search.errors import DatabaseError, RunError, StoreUrlError
from search.records.study import StudyRecord
from search.store import checkpoint_owners, connection, leases, migrate, readonly, repeats, workers, writing


def readonly_engine(url: str) -> connection.Engine:
    """Reach a store as pages do, whatever its schema."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(migrate, "current", lambda _: migrate.head())
        return readonly.connect(url)


def test_a_password_is_never_shown() -> None:
    shown = connection.shown("postgresql://me:secret@host/db")
    assert "secret" not in shown
    assert "***" in shown


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://",
        "nonsense://x",
        "nonsense",
        "sqlite://",
        "http://me:secret@host",
        "://",
        "postgresql://me:secret@host:port/db",
    ],
)
def test_a_malformed_url_is_refused_without_its_password(url: str) -> None:
    with pytest.raises(StoreUrlError) as caught:
        connection.connect(url)
    assert "secret" not in str(caught.value)


def test_a_server_that_does_not_answer_is_named_without_its_password() -> None:
    with pytest.raises(StoreUrlError, match="cannot reach the database") as caught:
        connection.connect("postgresql://me:secret@127.0.0.1:1/db")
    assert "secret" not in str(caught.value)


def test_a_file_that_is_not_a_database_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("this is no database " * 100)
    with pytest.raises(StoreUrlError, match="not a database"):
        connection.connect(f"sqlite:///{path}")
    assert path.read_text().startswith("this is no database")


def test_a_plain_path_is_an_sqlite_file(tmp_path: Path) -> None:
    engine = connection.connect(str(tmp_path / "deep" / "store.db"))
    with engine.connect() as link:
        assert link.execute(text("PRAGMA journal_mode")).scalar() == "wal"
        assert link.execute(text("PRAGMA foreign_keys")).scalar() == 1
    engine.dispose()


def _error(message: str) -> OperationalError:
    return OperationalError("statement", {}, Exception(message))


def test_a_call_is_tried_again_while_the_database_is_locked(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection.time, "sleep", lambda _: None)
    answers = [_error("database is locked"), _error("server closed the connection"), None]

    @connection.retried
    def call() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise answer
        return "done"

    assert call() == "done"


def test_a_permanent_error_is_raised_at_once() -> None:
    calls = []

    @connection.retried
    def call() -> None:
        calls.append(1)
        raise _error("no such table: x")

    with pytest.raises(RunError, match="no such table"):
        call()
    assert len(calls) == 1


@pytest.mark.parametrize("words", ["database or disk is full", "No space left on device", "disk I/O error"])
def test_a_full_disk_is_waited_for(words: str) -> None:
    assert connection.is_passing(_error(words))


def test_retries_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connection, "RETRY_S", 0.0)
    monkeypatch.setattr(connection.time, "sleep", lambda _: None)

    @connection.retried
    def call() -> None:
        raise _error("database is locked")

    with pytest.raises(RunError, match="locked"):
        call()


SECRET = "planted-secret"


def test_a_planted_password_is_in_no_traceback_and_no_log(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(0)
    for url in (f"postgresql://me:{SECRET}@127.0.0.1:1/db", f"postgresql://me:{SECRET}@[::bad/db"):
        with pytest.raises(StoreUrlError) as caught:
            connection.connect(url, connection.Patience(0.2), wait=True)
        assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text


def test_a_planted_password_is_not_in_the_process_list_for_long(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as silent:  # takes connections and never answers
        url = f"postgresql://me:{SECRET}@127.0.0.1:{silent.getsockname()[1]}/db"
        command = [sys.executable, "-m", "search", "status", "--storage", url]
        child = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
        visitor, _ = silent.accept()  # it has come as far as the database
        title = Path(f"/proc/{child.pid}/cmdline").read_bytes()
        visitor.close()
        silent.close()
        output, _ = child.communicate(timeout=120)
    assert b"status" in title
    assert SECRET.encode() not in title
    assert child.returncode == 2
    assert "cannot reach the database" in output
    assert SECRET not in output


def test_waiting_ends_at_a_stop_signal(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[int] = []

    def call() -> None:
        calls.append(1)
        raise _error("server closed the connection")

    with pytest.raises(DatabaseError):
        connection.insist(call, "call", connection.Patience(1000.0, lambda: bool(calls)))
    assert len(calls) == 1


def test_errors_are_recognised_inside_those_of_other_libraries() -> None:
    answers: list[Exception | None] = [_error("database is locked"), None]

    def call() -> str:
        answer = answers.pop(0)
        if answer is not None:
            raise RuntimeError("storage failed") from answer
        return "done"

    assert connection.insist(call, "call", connection.Patience(10.0)) == "done"
    with pytest.raises(ZeroDivisionError):
        connection.insist(lambda: 1 / 0, "call", connection.Patience(10.0))


def test_a_second_try_within_a_broken_transaction_does_not_hide_why_it_broke() -> None:
    tries: list[int] = []

    def ask() -> None:
        try:
            raise _error("server closed the connection unexpectedly")
        except OperationalError:
            raise PendingRollbackError("Can't reconnect until invalid transaction is rolled back.")  # noqa: B904

    def call() -> str:
        tries.append(1)
        if len(tries) == 1:
            try:
                ask()
            except PendingRollbackError as error:
                raise RuntimeError("an exception is raised during the commit") from error
        return "done"

    assert connection.insist(call, "call", connection.Patience(10.0)) == "done"


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600)])
def test_a_new_store_follows_the_umask_with_its_journal(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
        with connection.writing(engine) as link:
            link.execute(text("CREATE TABLE t (x INTEGER)"))
        modes = {path.name: path.stat().st_mode & 0o777 for path in tmp_path.iterdir()}
        engine.dispose()
    finally:
        os.umask(before)
    assert modes == dict.fromkeys(("store.db", "store.db-wal", "store.db-shm"), expected)


@pytest.fixture
def waited(postgres: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[connection.Engine]:
    """An engine on PostgreSQL that has a table ``t`` of one row; forgotten transactions end after a second."""
    monkeypatch.setattr(connection, "FORGOTTEN_S", 1)
    engine = connection.connect(postgres)
    with connection.writing(engine) as link:
        link.execute(text("CREATE TABLE t AS SELECT 0 AS x"))
    yield engine
    with connection.writing(engine) as link:
        link.execute(text("DROP TABLE t"))
    engine.dispose()


def test_nobody_waits_for_a_client_that_has_gone_silent_in_a_transaction(
    waited: connection.Engine, postgres: str
) -> None:
    silent = connection.connect(postgres)
    with silent.connect() as asleep:
        asleep.execute(text("UPDATE t SET x = 1"))  # and says no more: it was stopped, or its machine is gone
        with connection.writing(waited) as link:
            link.execute(text("SET LOCAL lock_timeout = '30s'"))
            link.execute(text("UPDATE t SET x = 2"))
        with pytest.raises(DBAPIError) as woken:
            asleep.execute(text("UPDATE t SET x = 3"))
        assert connection.is_passing(woken.value)  # it tries again, from the transaction's begin
    silent.dispose()
    with connection.reading(waited) as link:
        assert link.execute(text("SELECT x FROM t")).scalar() == 2


def test_optunas_own_connections_are_not_waited_for_either(waited: connection.Engine, postgres: str) -> None:
    optunas = create_engine(postgres, **connection.optuna_options(postgres))
    connection.tune(optunas)
    with optunas.connect() as link:
        assert link.execute(text("SHOW idle_in_transaction_session_timeout")).scalar() == "1s"
    optunas.dispose()


@pytest.mark.parametrize("reach", [connection.connect, readonly_engine])
def test_options_in_a_servers_url_hold(reach: Callable[[str], connection.Engine], postgres: str) -> None:
    own = "options=-c%20search_path%3Dmine&connect_timeout=7&keepalives_idle=5"
    engine = reach(postgres + ("&" if "?" in postgres else "?") + own)
    with engine.connect() as link:
        assert link.execute(text("SHOW search_path")).scalar() == "mine"
        info = link.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
        assert info["keepalives_idle"] == "5"
    engine.dispose()


def test_a_server_whose_machine_is_gone_is_noticed(postgres: str) -> None:
    engine = connection.connect(postgres)
    with engine.connect() as link:
        info = link.connection.dbapi_connection.info.get_parameters()  # type: ignore[union-attr]
    engine.dispose()
    assert (info["keepalives_idle"], info["tcp_user_timeout"]) == ("30", "60000")


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)  # others check what is written to a column
@pytest.mark.parametrize(
    ("change", "call"),
    [
        ("ft_trial SET state = 'waiting', resume = '{'", lambda engine: leases.claim(engine, "s", "w", 60)),
        ("ft_trial SET lease_until = 0, story = '{'", lambda engine: leases.claim(engine, "s", "w", 60)),
        ("ft_trial SET lease_until = 0, story = '3'", lambda engine: leases.reap(engine, "s")),
        ("ft_trial SET resume = '3'", lambda engine: checkpoint_owners.owners(engine, "s")),
        ("ft_trial SET state = 'bogus', checkpoint = 'x'", lambda engine: checkpoint_owners.owners(engine, "s")),
        ("ft_worker SET started_at = 'x'", lambda engine: workers.present(engine, "s")),
        ("ft_trial SET finished_at = 'x', started_at = 'x'", lambda engine: workers.pace(engine, "s")),
        ("ft_trial SET params = '{'", lambda engine: repeats.number_of(engine, "s", {"a": 1})),
        ("ft_trial SET params = '3'", lambda engine: repeats.number_of(engine, "s", {"a": 1})),
    ],
)
def test_what_workers_read_may_have_been_changed_by_hand(
    engine: connection.Engine, record: StudyRecord, change: str, call: Callable[[connection.Engine], Any]
) -> None:
    writing.create_study(engine, record)
    workers.enter(engine, "s", "w", host="h", process=1, device="cpu")
    leases.claim(engine, "s", "w", 60)
    with engine.begin() as link:
        link.execute(text(f"UPDATE {change}"))
    with pytest.raises(DatabaseError, match=r"^the store holds something that cannot be read \(\w+: [^\n]*by hand"):
        call(engine)
