from __future__ import annotations

import socket
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.store import connection, migrate

pytest.importorskip("waitress", reason="needs ftsearch[dashboard]")


def test_other_machines_need_a_token(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("dashboard", "--host", "0.0.0.0")
    assert done.code == 2
    assert "give --token or set FTSEARCH_TOKEN" in done.err


def test_a_store_that_does_not_exist_yet_is_waited_for(
    tmp_path: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    url, waited = f"sqlite:///{tmp_path}/later.db", list[float]()

    def made_meanwhile(seconds: float) -> None:
        waited.append(seconds)
        engine = connection.connect(url)
        migrate.upgrade(engine)
        engine.dispose()

    monkeypatch.setattr(time, "sleep", made_meanwhile)
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = ftsearch("dashboard", "--storage", url, "--port", str(taken.getsockname()[1]))
    assert "later.db" in done.out
    assert "waiting for it (Ctrl-C ends this)" in done.out
    assert waited == [1.0]
    assert "choose another --port" in done.err


def test_a_port_that_is_taken_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        done = ftsearch("dashboard", "--port", str(taken.getsockname()[1]))
    assert done.code == 2
    assert "choose another --port" in done.err


def test_without_dash_it_says_what_to_install(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    import search.dashboard

    monkeypatch.setitem(sys.modules, "search.dashboard.serving", None)
    monkeypatch.delattr(search.dashboard, "serving", raising=False)
    done = ftsearch("dashboard")
    assert done.code == 2
    assert "pip install 'ftsearch[dashboard]'" in done.err


def test_it_serves_until_it_is_interrupted(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    def interrupted(server: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("waitress.server.BaseWSGIServer.run", interrupted)
    done = ftsearch("dashboard", "--port", "0")
    assert done.code == 0
    assert "Dashboard: http://127.0.0.1:" in done.out
    assert "closed" in done.out
