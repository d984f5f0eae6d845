"""Opens the store in a context: connects, migrates the schema, closes the connections."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from sqlalchemy import Engine

from search.errors import NotFoundError
from search.store import migrate, readonly
from search.store.connection import Patience, connect, may_write
from search.store.urls import parse_url


@contextmanager
def opened(
    url: str, patience: Patience | None = None, *, wait: bool = False, must_exist: bool = False
) -> Iterator[Engine]:
    """Yield an engine on the store at ``url`` with its schema up to date; its connections are closed at the end.

    Args:
        patience: how long its calls are retried while the database is unreachable or locked.
        wait: repeat the first call too: for a worker that is started together with its server.
        must_exist: refuse a missing SQLite file instead of creating one. A read-only one can be read, as long as its
            schema is this program's; the database refuses writes.

    Raises:
        NotFoundError: ``must_exist`` and there is no such file.
        StoreUrlError: malformed, or the database cannot be reached.
        SchemaError: the database was written by a newer ftsearch; nothing is changed.
    """
    if must_exist:
        check_exists(url)
    may_write = not must_exist or is_writable(url)
    engine = connect(url, patience, wait=wait) if may_write else readonly.connect(url)
    try:
        if may_write:
            migrate.upgrade(engine)
        yield engine
    finally:
        engine.dispose()


def is_writable(url: str) -> bool:
    """Return whether the SQLite file at ``url`` and the folder of its journal are writable; servers tell later.

    Raises:
        StoreUrlError: malformed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() != "sqlite":
        return True
    return may_write(Path(str(parsed.database)).absolute())


def check_exists(url: str) -> None:
    """Refuse the URL of an SQLite file that does not exist; servers report such errors themselves.

    Raises:
        NotFoundError: there is no such file.
        StoreUrlError: malformed.
    """
    parsed = parse_url(url)
    if parsed.get_backend_name() == "sqlite" and not Path(str(parsed.database)).exists():
        raise NotFoundError(
            f"no store at {parsed.database}; start a study with `ftsearch run`, or say where with --storage"
        )
