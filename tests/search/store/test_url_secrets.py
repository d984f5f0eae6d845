"""Secrets of a database URL: every place where the URL, or an error about it, can surface is fed with them."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import create_engine, make_url
from sqlalchemy.exc import OperationalError

from search import cli
from search.cli import _outcome
from search.errors import DatabaseError, StoreUrlError
from search.store import connection, migrate, readonly, url_secrets, urls
from search.workers import worker

SECRET = "pl4nted-S3cret"
AT = "127.0.0.1:1/db"
URLS = [
    f"postgresql://bob:{SECRET}@{AT}",
    f"postgresql+psycopg://:{SECRET}@{AT}",
    f"postgresql://{AT}?user=bob&password={SECRET}",
    f"postgresql://{AT}?user=bob&PASSWORD={SECRET}",
    f"postgresql://bob@{AT}?sslpassword={SECRET}",
    f"postgresql://bob@{AT}?sslmode=require&sslkey=/keys/{SECRET}.pem",
    f"postgresql://bob@{AT}?options=-c%20my.key%3D{SECRET}",
    f"postgresql://bob@{AT}?passfile=/home/{SECRET}",
    f"postgresql://bob@{AT}?one_that_comes_next_year={SECRET}",
    f"mysql://bob:{SECRET}@{AT}",
    f"mysql://{AT}?user=bob&password={SECRET}",
    f"mysql://bob@{AT}?passwd={SECRET}",
    f"mysql://bob@{AT}?ssl_key=/k.pem&ssl_key_password={SECRET}",
    f"mysql://bob@{AT}?init_command=SET%20x%3D{SECRET}",
    f"mysql://bob@{AT}?read_default_file=/home/{SECRET}",
    f"postgresql://bob:p@{SECRET}@{AT}",
    f"postgresql://bob:p@s/{SECRET}@{AT}",
    f"postgresql://bob:p@s?{SECRET}@{AT}",
    f"postgresql://bob:p@s?a={SECRET}@{AT}",
    f"postgresql://bob/x:{SECRET}@{AT}",
    f"postgresql://bob:{SECRET}@host:port/db",
    f"postgresql://bob:{SECRET}@[::bad/db",
    f"bob:{SECRET}@{AT}",
    f"http://bob:{SECRET}@{AT}",
    f"bob:{SECRET}://{AT}",
    f"sqlite://bob:{SECRET}@{AT}",
    f"sqlite:///store.db?key={SECRET}",
]


@pytest.mark.parametrize("url", URLS)
def test_no_secret_of_a_url_is_shown(url: str) -> None:
    assert SECRET not in url_secrets.shown(url)
    if not url_secrets.is_ambiguous(url) and "://" in url and "port/" not in url and "bad" not in url and url[3] != ":":
        assert SECRET not in url_secrets.shown(make_url(url))


def test_what_is_not_a_secret_stays_readable() -> None:
    assert url_secrets.shown("postgresql://bob:x@host:5432/db?sslmode=verify-full&sslkey=/k") == (
        "postgresql://bob:***@host:5432/db?sslkey=***&sslmode=verify-full"
    )
    assert url_secrets.shown("postgresql://bob%40corp:x@h1/db") == "postgresql://bob%40corp:***@h1/db"
    assert url_secrets.shown("sqlite:////home/bob@corp/runs/x.db") == "sqlite:////home/bob%40corp/runs/x.db"
    assert url_secrets.shown("runs/store.db") == "runs/store.db"
    assert url_secrets.shown("postgresql://bob:a@b@host/db") == "postgresql://***"


@pytest.mark.filterwarnings("ignore:'passwd' is deprecated")
@pytest.mark.parametrize("reach", [connection.connect, readonly.connect])
@pytest.mark.parametrize("url", URLS[:-1])
def test_an_error_on_the_way_to_a_database_holds_no_secret(
    url: str, reach: Callable[[str], Any], caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(0)
    monkeypatch.setattr(connection, "RETRY_S", 0.0)
    with pytest.raises(StoreUrlError) as caught:
        reach(url)
    assert SECRET not in "".join(traceback.format_exception(caught.value))
    assert SECRET not in caplog.text


@pytest.mark.parametrize("url", [url for url in URLS if url_secrets.is_ambiguous(url)])
def test_an_at_sign_that_must_be_escaped_is_named(url: str) -> None:
    with pytest.raises(StoreUrlError, match=r"more than one @.*write an @ of its own as %40"):
        urls.parse_url(url)


def test_an_escaped_password_goes_through_whole() -> None:
    assert urls.parse_url("postgresql://bob:p%40s%2Fs%3Aw%3Ford@host/db").password == "p@s/s:w?ord"
    assert urls.parse_url("postgresql://bob@corp:pw@host/db").username == "bob@corp"


@pytest.mark.parametrize("url", URLS[:15])
def test_a_driver_that_repeats_a_secret_is_not_repeated(
    url: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Of failed calls, of what is logged while waiting, and of what is recorded with a failed trial."""
    monkeypatch.setattr(connection.time, "sleep", lambda _: None)
    parsed = urls.parse_url(url)
    own = parsed.password or next(value for value in parsed.query.values() if SECRET in value)
    fault = OperationalError("statement", {}, Exception(f"connection refused: {own} of {url}"))
    patience = connection.Patience(0.0, url=parsed)

    def call() -> None:
        raise fault

    with pytest.raises(DatabaseError) as caught:
        connection.insist(call, "call", patience)
    assert SECRET not in str(caught.value)
    answers = iter([fault, None])

    def once() -> None:
        if (answer := next(answers)) is not None:
            raise answer

    connection.insist(once, "call", connection.Patience(10.0, url=parsed))
    assert "the database is busy or unreachable" in caplog.text
    assert SECRET not in caplog.text
    assert SECRET not in connection.reason_of(fault, parsed)
    engine = create_engine(parsed)
    failure = worker.failure_of(fault, engine)
    assert SECRET not in failure.message + failure.traceback
    assert "connection refused" in failure.message
    assert connection.patience_of(engine).url == parsed


@pytest.mark.parametrize("password", ["a b/c:d", "ü%41?", "x" * 40])
def test_every_writing_of_a_secret_is_hidden(password: str) -> None:
    url = make_url("postgresql://host/db").set(username="bob", password=password)
    written = url.render_as_string(hide_password=False)
    assert (
        url_secrets.hide(f"cannot reach {written}, {password!s}", url)
        == "cannot reach postgresql://bob:***@host/db, ***"
    )


def test_a_short_secret_cannot_be_guessed_from_the_words_it_is_cut_from() -> None:
    url = "postgresql://bob:ft@host/db"
    assert url_secrets.hide("the shift of ft failed (ft)", url) == "the shift of *** failed (***)"


COMMANDS = {
    "run": ["study.yaml"],
    "worker": ["colours"],
    "status": [],
    "studies": [],
    "best": ["colours"],
    "trials": ["colours"],
    "report": ["colours"],
    "dashboard": ["--port", "0"],
    "serve-storage": [],
    "delete": ["colours", "--yes"],
    "export": ["colours"],
    "confirm": ["colours"],
    "refit": ["colours"],
    "retry": ["colours", "--failed"],
    "stop": ["colours"],
    "suggest": ["."],
    "diff": ["colours:0", "colours:1"],
}


@pytest.mark.parametrize("command", COMMANDS)
def test_no_command_prints_a_secret(
    command: str,
    folder: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(connection, "RETRY_S", 0.0)
    (tmp_path / "study.yaml").write_text(f"name: colours\ndata: {{path: {folder}}}\nbackbone: squeezenet1_1\n")
    for url in (URLS[0], URLS[2], URLS[10], URLS[15]):
        assert cli.main([command, *COMMANDS[command], "--storage", url]) == 2
        said = capsys.readouterr()
        assert SECRET not in said.out + said.err + caplog.text
        assert "postgresql" in said.err or "mysql" in said.err


def test_commands_to_type_next_name_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    shown: list[str] = []

    class Screen:
        def print(self, *words: object, **_: object) -> None:
            shown.extend(map(str, words))

    record: Any = type("Study", (), {"name": "colours", "trials": (), "weights": "x"})()
    ended = {"study": record, "report": None, "stopped": "the time is up", "model": None, "notes": ()}
    result: Any = type("Result", (), ended)()
    for part in ("show_front", "show_warnings", "show_headline", "show_choice"):
        monkeypatch.setattr(_outcome, part, lambda *_: None)
    monkeypatch.setattr(_outcome.tables, "states", lambda *_: "")
    for stopped in ("the time is up", ""):
        result.stopped = stopped
        screen: Any = Screen()
        _outcome.show(screen, result, Path("s.yaml"), URLS[2])
    assert sum("--storage 'postgresql://" in line for line in shown) == 2
    assert not any(SECRET in line for line in shown)


@pytest.mark.parametrize("url", [URLS[0], URLS[2], URLS[10]])
def test_the_dashboard_names_its_store_without_a_secret(
    url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("dash")
    from search.dashboard import app  # an extra

    connection_url = f"sqlite:///{tmp_path}/store.db"
    engine = connection.connect(connection_url)
    migrate.upgrade(engine)
    client = app.build(engine, url).server.test_client()
    asked = {
        "output": "..content.children...title.data..",
        "outputs": [{"id": "content", "property": "children"}, {"id": "title", "property": "data"}],
        "inputs": [
            {"id": "url", "property": "pathname", "value": "/"},
            {"id": "url", "property": "search", "value": ""},
        ],
        "state": [{"id": "picked", "property": "data", "value": {}}],
        "changedPropIds": ["url.pathname"],
    }
    answer = client.post("/_dash-update-component", json=asked)
    assert answer.status_code == 200
    assert "127.0.0.1" in answer.text
    assert SECRET not in answer.text
    engine.dispose()


def test_a_schema_that_cannot_be_read_names_its_store_without_a_secret(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    migrate.upgrade(engine)
    monkeypatch.setattr(engine, "url", urls.parse_url(URLS[2]))
    with engine.begin() as link:
        link.exec_driver_sql(f"UPDATE {migrate.VERSION_TABLE} SET version_num = 'future'")
    with pytest.raises(Exception, match="schema future") as caught:
        migrate.upgrade(engine)
    assert SECRET not in str(caught.value)
    engine.dispose()


@pytest.mark.parametrize("url", [URLS[0], URLS[2]])
def test_a_secret_on_the_command_line_moves_to_the_environment(url: str) -> None:
    program = (
        "import os, sys\nfrom search import cli\n"
        "os.execve = lambda _, words, given: print('|'.join(words), given['FTSEARCH_STORAGE'], sep='#')\n"
        "cli._hide_password()\n"
    )
    for words in (["--storage", url], [f"--storage={url}"]):
        done = subprocess.run(
            [sys.executable, "-c", program, "status", *words],
            capture_output=True,
            text=True,
            check=True,
            env=os.environ,
        )
        kept, _, moved = done.stdout.strip().rpartition("#")
        assert moved == url
        assert SECRET not in kept
        assert "status" in kept


def test_a_log_of_a_pool_names_no_secret(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    with pytest.raises(StoreUrlError):
        connection.connect(URLS[2], connection.Patience(0.1), wait=True)
    assert SECRET not in caplog.text
