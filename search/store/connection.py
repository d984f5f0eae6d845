"""Engines: one small pool a process, SQLite in WAL mode, retries with back-off, URLs without their password."""

from __future__ import annotations

import functools
import logging
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, IntegrityError, NoSuchModuleError, SQLAlchemyError

from search.errors import RunError, StoreUrlError

__all__ = ["Engine", "connect", "optuna_options", "reading", "retried", "shown", "str_url", "tune", "writing"]

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
RETRY_S = 60.0
"""How long a call goes on trying while the database is gone or locked."""
_BUSY_MS = 30_000
_DRIVERS = {"postgresql": "postgresql+psycopg", "postgres": "postgresql+psycopg"}
_READ = "ft_read"


def shown(url: str | URL) -> str:
    """Return ``url`` with its password replaced by ``***``: for logs, errors and pages."""
    try:
        return make_url(url).render_as_string(hide_password=True)
    except (ArgumentError, ValueError):
        return str(url).split("://", 1)[0] + "://..." if "://" in str(url) else "(malformed URL)"


def parse_url(url: str) -> URL:
    """Return the SQLAlchemy URL of ``url``; ``postgresql://`` means psycopg 3, a path that ends in ``.db`` SQLite.

    Raises:
        StoreUrlError: it is no URL, or of a kind this store does not speak.
    """
    is_path = "://" not in url and url.endswith((".db", ".sqlite", ".sqlite3"))
    text = f"sqlite:///{url}" if is_path else url
    try:
        parsed = make_url(text)
    except (ArgumentError, ValueError) as error:
        raise StoreUrlError(f"malformed storage URL {shown(url)}; expected sqlite:///FILE.db or {_EXAMPLE}") from error
    parsed = parsed.set(drivername=_DRIVERS.get(parsed.drivername, parsed.drivername))
    if parsed.get_backend_name() not in ("sqlite", "postgresql", "mysql"):
        raise StoreUrlError(
            f"storage URL {shown(url)}: expected sqlite, postgresql or mysql, got {parsed.drivername!r}"
        )
    if parsed.get_backend_name() == "sqlite" and parsed.database in (None, "", ":memory:"):
        raise StoreUrlError("a store in memory would be gone at the end; name a file: sqlite:///runs/ftsearch.db")
    return parsed


def str_url(url: str) -> str:
    """Return ``url`` as SQLAlchemy takes it, password included: for other libraries' engines, never to be shown."""
    return parse_url(url).render_as_string(hide_password=False)


_EXAMPLE = "postgresql+psycopg://USER:PASSWORD@HOST/DATABASE"


def optuna_options(url: str) -> dict[str, Any]:
    """Return the ``engine_kwargs`` of an engine for ``url``: one connection kept, one more at need."""
    if parse_url(url).get_backend_name() == "sqlite":
        return {"connect_args": {"timeout": _BUSY_MS / 1000}}
    return {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True, "pool_recycle": 1800}


def connect(url: str) -> Engine:
    """Return an engine for the database at ``url``, tried once; the folder of an SQLite file is made.

    Raises:
        StoreUrlError: malformed, or the database cannot be reached; never shows the password.
    """
    parsed = parse_url(url)
    try:
        if parsed.get_backend_name() == "sqlite":
            Path(str(parsed.database)).absolute().parent.mkdir(parents=True, exist_ok=True)
        engine = create_engine(parsed, **optuna_options(url))
    except (NoSuchModuleError, ImportError) as error:
        raise StoreUrlError(
            f"storage URL {shown(parsed)}: {error}; install ftsearch[postgres] for PostgreSQL"
        ) from error
    except OSError as error:
        raise StoreUrlError(f"cannot create the folder of {shown(parsed)}: {error.strerror}") from error
    tune(engine)
    try:
        with engine.connect():
            pass
    except SQLAlchemyError as error:
        engine.dispose()
        raise StoreUrlError(f"cannot reach the database at {shown(parsed)}: {reason_of(error, parsed)}") from error
    return engine


def tune(engine: Engine) -> None:
    """Let an SQLite ``engine`` serve many processes: WAL journal, writers wait for each other from their first word.

    Without ``BEGIN IMMEDIATE`` two workers can be given the same trial. Other databases are left as they are.
    """
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions begin where _begin says, not where the driver thinks
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READ, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Return a connection in one transaction that is committed at the end."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Return a connection that only reads, and so waits for nobody."""
    with engine.execution_options(**{_READ: True}).begin() as connection:
        yield connection


def retried(function: Callable[P, R]) -> Callable[P, R]:
    """Let ``function`` (one transaction, safe to repeat) be tried again while the database is gone or locked.

    Waits 0.1 s, twice as long each time up to 5 s, with jitter, for ``RETRY_S`` in all; then RunError.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        begin, pause = time.monotonic(), 0.1
        while True:
            try:
                return function(*args, **kwargs)
            except IntegrityError:
                raise  # a row that is there already: the caller knows what that means
            except DBAPIError as error:
                if not is_passing(error) or time.monotonic() - begin > RETRY_S:
                    raise RunError(f"the database refused {function.__name__}: {reason_of(error)}") from error
                logger.warning("the database is busy or gone (%s); trying again", reason_of(error))
            time.sleep(pause * random.uniform(0.5, 1.5))
            pause = min(2 * pause, 5.0)

    return call


def is_passing(error: DBAPIError) -> bool:
    """Return whether the same call may succeed later: lost connection, lock, serialization failure, restart."""
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    if state[:2] in ("08", "40", "53", "57") or state == "55P03":
        return True
    text = str(error.orig).lower()
    signs = ("database is locked", "database is busy", "connection", "server closed", "deadlock", "lock wait timeout")
    return type(error).__name__ in ("OperationalError", "InterfaceError") and any(sign in text for sign in signs)


def reason_of(error: SQLAlchemyError, url: URL | None = None) -> str:
    """Return the driver's own first line, without the password."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    line = text[0] if text else type(error).__name__
    password = str(url.password) if url is not None and url.password else ""
    return line.replace(password, "***") if password else line
