"""The store for as long as it is needed: connected, its schema up to date, closed again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from search.errors import NotFoundError
from search.store import migrate
from search.store.connection import Patience, connect, parse_url


@contextmanager
def opened(
    url: str, patience: Patience | None = None, *, wait: bool = False, must_exist: bool = False
) -> Iterator[Engine]:
    """Yield the engine of the store at ``url``, its schema up to date; its connections are closed at the end.

    Args:
        patience: how long its calls are repeated while the database is gone or locked.
        wait: repeat the first call too: for a worker that is started together with its server.
        must_exist: refuse an SQLite file that is not there, instead of making one.

    Raises:
        NotFoundError: ``must_exist`` and there is no such file.
        StoreUrlError: malformed, or the database cannot be reached.
        SchemaError: the database was written by a newer ftsearch; nothing is changed.
    """
    if must_exist:
        check_exists(url)
    engine = connect(url, patience, wait=wait)
    try:
        migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def check_exists(url: str) -> None:
    """Refuse the URL of an SQLite file that is not there; servers answer for themselves.

    Raises:
        NotFoundError: there is no such file.
        StoreUrlError: malformed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        raise NotFoundError(
            f"no store at {parsed.database}; start a study with `ftsearch run`, or say where with --storage"
        )
