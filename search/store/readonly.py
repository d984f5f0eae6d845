"""Read-only engines, for pages, which must never change or lock what workers write."""

from __future__ import annotations

import os
import sqlite3
from pathlib import Path
from typing import Any
from urllib.parse import quote

from sqlalchemy import Engine, create_engine
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.pool import QueuePool

from search.errors import NotFoundError, SchemaError, StoreUrlError
from search.store import machine_clock, migrate
from search.store.connection import CLOCK, PATIENCE, Patience, begin_with, reason_of, shown
from search.store.urls import parse_url

_POOL = 4
_SERVERS: dict[str, Any] = {"pool_size": _POOL, "max_overflow": 0, "pool_pre_ping": True, "pool_recycle": 1800}
_BUSY_S = 10


def connect(url: str) -> Engine:
    """Return an engine on an existing store; the database itself refuses its writes.

    SQLite files are opened with ``mode=ro``, PostgreSQL sessions with ``default_transaction_read_only``, MySQL's with
    ``SET SESSION TRANSACTION READ ONLY``. The schema is not upgraded.

    Raises:
        StoreUrlError: malformed, or the database cannot be reached.
        NotFoundError: there is no such SQLite file.
        SchemaError: the schema is not the one this program reads.
    """
    parsed = parse_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            path = Path(str(parsed.database)).absolute()
            if not path.exists():
                raise NotFoundError(f"there is no store at {path}; `ftsearch run STUDY.yaml` makes one")
            engine = create_engine("sqlite://", creator=lambda: _sqlite(path), poolclass=QueuePool, pool_size=_POOL)
        elif parsed.get_backend_name() == "postgresql":
            engine = create_engine(parsed, **_SERVERS)
            begin_with(engine, "SET default_transaction_read_only = on")
        else:
            options = {"init_command": "SET SESSION TRANSACTION READ ONLY"}
            engine = create_engine(parsed, connect_args=options, **_SERVERS)
        engine = engine.execution_options(**{PATIENCE: Patience(url=parsed)})
        with engine.connect():
            pass  # asked once: later calls would be retried for a minute
        version = migrate.current(engine)
    except SQLAlchemyError as error:
        raise StoreUrlError(f"cannot reach the database at {shown(parsed)}: {reason_of(error, parsed)}") from error
    if version != migrate.head():
        engine.dispose()
        raise SchemaError(
            f"the store at {shown(parsed)} has schema {version or 'none'}, this ftsearch reads {migrate.head()}; "
            "any other command of this version (`ftsearch studies`) brings an older one up to date"
        )
    return engine


def _sqlite(path: Path) -> sqlite3.Connection:
    mode, locking = "mode=ro", "NORMAL"
    if not os.access(path.parent, os.W_OK):  # SQLite cannot create its journal's files there
        if not Path(f"{path}-wal").exists():
            mode += "&immutable=1"
        elif not Path(f"{path}-shm").exists():
            # A copy, or the store of a dead machine: the journal's content counts, and nobody writes to it. Its index
            # is then kept in memory, as SQLite does with exclusive access.
            mode, locking = f"{mode}&vfs=unix-none", "EXCLUSIVE"
    connection = sqlite3.connect(f"file:{quote(str(path))}?{mode}", uri=True, timeout=_BUSY_S, check_same_thread=False)
    connection.execute(f"PRAGMA locking_mode={locking}").close()
    connection.execute("PRAGMA query_only=ON").close()
    connection.create_function(CLOCK, 0, machine_clock.steady(connection, may_write=False))
    return connection
