"""Engines: one small pool per process, SQLite in WAL mode, retries with back-off, errors without the URL's password."""

from __future__ import annotations

import functools
import logging
import os
import random
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from sqlalchemy import URL, Connection, Engine, create_engine, event
from sqlalchemy.exc import DBAPIError, NoSuchModuleError, PendingRollbackError, SQLAlchemyError
from sqlalchemy.exc import TimeoutError as PoolTimeout

from search.errors import DatabaseError, StoreUrlError
from search.store import machine_clock
from search.store.url_secrets import hide, shown
from search.store.urls import parse_url

__all__ = [
    "Engine",
    "Patience",
    "connect",
    "insist",
    "optuna_options",
    "patience_of",
    "reading",
    "retried",
    "server_options",
    "share",
    "shown",
    "tune",
    "writing",
]

logger = logging.getLogger(__name__)
P = ParamSpec("P")
R = TypeVar("R")
CLOCK = "ft_clock"
"""SQL function of SQLite connections: ``machine_clock.steady``."""
RETRY_S = 60.0
"""How long a call is retried by default while the database is unreachable or locked."""
FORGOTTEN_S = 30
"""Seconds after which PostgreSQL ends a transaction whose client has gone silent, asleep or cut off: others wait for
its locks. None of ours lasts a second."""
_ALIVE = {
    "connect_timeout": 15,
    "keepalives_idle": 30,
    "keepalives_interval": 10,
    "keepalives_count": 3,
    "tcp_user_timeout": 60_000,
}
"""How PostgreSQL's clients notice that a server's machine is gone: by the system's own settings within two hours."""
_BUSY_MS = 30_000
_READ = "ft_read"
PATIENCE = "ft_patience"


@dataclass(slots=True)
class Patience:
    """How long calls of one engine are retried while the database is unreachable or locked.

    Attributes:
        seconds: for which a call is tried again; None: ``RETRY_S``.
        leave: true once the caller has been asked to stop: the next failure is then the last.
        url: of the database; its secrets are kept out of error messages.
    """

    seconds: float | None = None
    leave: Callable[[], bool] = lambda: False
    url: URL | None = None

    @property
    def limit_s(self) -> float:
        return RETRY_S if self.seconds is None else self.seconds


def optuna_options(url: str) -> dict[str, Any]:
    """Return the ``engine_kwargs`` of Optuna's engine for ``url``."""
    return _options(parse_url(url))


def share(engine: Engine, other: Engine) -> None:
    """Let ``other``, an engine for the same database, use the connections of ``engine`` from now on.

    Two pools would double what the server has to hold for every worker. Not from the start: while Optuna sets up
    its tables it opens connections within connections, more than a worker's pool has.
    """
    other.dispose()
    other.pool = engine.pool


def server_options(url: str, threads: int) -> dict[str, Any]:
    """Return the ``engine_kwargs`` of a server that answers ``threads`` calls at once."""
    return _options(parse_url(url)) | {"pool_size": threads, "max_overflow": 2}


def _options(url: URL) -> dict[str, Any]:
    """Return options of an engine: one connection kept, one more at need."""
    backend = url.get_backend_name()
    if backend == "sqlite":
        return {"connect_args": {"timeout": _BUSY_MS / 1000}}
    pool = {"pool_size": 1, "max_overflow": 1, "pool_pre_ping": True, "pool_recycle": 1800}
    if backend == "postgresql":
        return pool | {"connect_args": {name: value for name, value in _ALIVE.items() if name not in url.query}}
    # What PostgreSQL does by itself. MySQL's own default locks the gaps between rows too: claims then wait for each
    # other's trials, and deadlock.
    return pool | {"isolation_level": "READ COMMITTED"}


def connect(url: str, patience: Patience | None = None, *, wait: bool = False) -> Engine:
    """Return an engine for the database at ``url``; the folder of an SQLite file is made.

    Args:
        patience: how long its calls are repeated.
        wait: repeat the first one too: for a worker that is started together with its server.

    Raises:
        StoreUrlError: malformed, or the database cannot be reached; never shows the password.
    """
    parsed = parse_url(url)
    patience = patience or Patience()
    patience.url = parsed
    try:
        if parsed.get_backend_name() == "sqlite":
            path = Path(str(parsed.database)).absolute()
            path.parent.mkdir(parents=True, exist_ok=True)
            if path.exists() and not may_write(path):
                raise StoreUrlError(only_read(parsed))
            if not path.exists() and not str(parsed.database).startswith("file:"):
                path.touch()  # by the umask: SQLite itself lets only the owner write
        engine = create_engine(parsed, **_options(parsed), execution_options={PATIENCE: patience}, hide_parameters=True)
    except (NoSuchModuleError, ImportError) as error:
        raise StoreUrlError(
            f"storage URL {shown(parsed)}: {hide(str(error), parsed)}; "
            "install ftsearch[postgres] for PostgreSQL, ftsearch[mysql] for MySQL"
        ) from error
    except OSError as error:
        raise StoreUrlError(f"cannot create the folder of {shown(parsed)}: {error.strerror}") from error
    tune(engine)
    try:
        if wait:
            insist(lambda: _touch(engine), "the first connection", patience)
        else:
            _touch(engine)
    except (SQLAlchemyError, DatabaseError) as error:
        engine.dispose()
        cause = error.__cause__ if isinstance(error, DatabaseError) else error
        if isinstance(cause, DBAPIError) and is_readonly(cause):
            raise StoreUrlError(only_read(parsed)) from None
        reason = reason_of(cause, parsed) if isinstance(cause, SQLAlchemyError) else hide(str(error), parsed)
        # The driver's own error may hold the whole URL, so it is not chained.
        raise StoreUrlError(f"cannot reach the database at {shown(parsed)}: {reason}") from None
    return engine


def may_write(path: Path) -> bool:
    """Return whether an SQLite file, and the journal beside it, may be written by this process."""
    return os.access(path, os.W_OK) and os.access(path.parent, os.W_OK)


def _touch(engine: Engine) -> None:
    with engine.connect():
        pass


def tune(engine: Engine) -> None:
    """Let ``engine`` serve many processes.

    SQLite: WAL journal; writers wait for each other from their first statement: without ``BEGIN IMMEDIATE`` two workers
    could get the same trial. PostgreSQL: nobody waits for a client that went silent in the middle of a transaction.
    """
    if engine.dialect.name == "postgresql":
        begin_with(engine, f"SET idle_in_transaction_session_timeout = '{FORGOTTEN_S}s'")
    if engine.dialect.name != "sqlite":
        return

    @event.listens_for(engine, "connect")
    def _pragmas(connection: Any, _: Any) -> None:
        connection.isolation_level = None  # transactions are begun by _begin, not by the driver
        for pragma in ("journal_mode=WAL", "synchronous=NORMAL", f"busy_timeout={_BUSY_MS}", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {pragma}").close()
        connection.create_function(CLOCK, 0, machine_clock.steady(connection, may_write=True))

    @event.listens_for(engine, "begin")
    def _begin(connection: Connection) -> None:
        reads = connection.get_execution_options().get(_READ, False)
        connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def begin_with(engine: Engine, statement: str) -> None:
    """Let each new PostgreSQL connection of ``engine`` begin with ``statement``.

    Connection options would replace those in the URL, and poolers such as PgBouncer refuse them.
    """

    @event.listens_for(engine, "connect")
    def _begin(connection: Any, _: Any) -> None:
        connection.execute(statement).close()
        connection.commit()


@contextmanager
def writing(engine: Engine) -> Iterator[Connection]:
    """Return a connection in one transaction that is committed at the end."""
    with engine.begin() as connection:
        yield connection


@contextmanager
def reading(engine: Engine) -> Iterator[Connection]:
    """Return a connection that only reads, and so never waits for a writer."""
    with engine.execution_options(**{_READ: True}).begin() as connection:
        yield connection


def retried(function: Callable[P, R]) -> Callable[P, R]:
    """Let ``function`` (one transaction, safe to repeat) be retried while the database is unreachable or locked.

    Its first argument is the engine, whose ``Patience`` says how long. Whoever shares the database can write anything
    into it: a row that holds what no record does is an error too.

    Raises:
        DatabaseError: the database refuses, has not come back, or holds a row that cannot be read.
    """

    @functools.wraps(function)
    def call(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return insist(lambda: function(*args, **kwargs), function.__name__, patience_of(args[0] if args else None))
        except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as error:
            raise DatabaseError(
                f"the store holds something that cannot be read ({type(error).__name__}: {error}): a row was changed "
                "by hand, or by another version"
            ) from error

    return call


def patience_of(engine: object) -> Patience:
    """Return the patience that ``engine`` was connected with."""
    patience = engine.get_execution_options().get(PATIENCE) if isinstance(engine, Engine) else None
    return patience if isinstance(patience, Patience) else Patience(url=getattr(engine, "url", None))


def insist(call: Callable[[], R], name: str, patience: Patience) -> R:
    """Return ``call()``, retried while the database is unreachable or locked.

    Waits 0.1 s, twice as long each time up to 5 s, with jitter, as long as ``patience`` lasts.

    Raises:
        DatabaseError: it has not come back, or the error is permanent.
    """
    begin, pause = time.monotonic(), 0.1
    while True:
        try:
            return call()
        except Exception as error:
            fault = _fault_of(error)
            if fault is None or _is_answer(error, fault):
                raise
            if isinstance(fault, DBAPIError) and is_readonly(fault):
                raise DatabaseError(only_read(patience.url)) from error
            waited = time.monotonic() - begin
            if not is_passing(fault) or waited > patience.limit_s or patience.leave():
                raise DatabaseError(f"the database refused {name}: {_line_of(fault, patience)}") from error
            logger.warning("the database is busy or unreachable (%s); retrying", _line_of(fault, patience))
        _pause(pause * random.uniform(0.5, 1.5), patience)
        pause = min(2 * pause, 5.0)


def _pause(seconds: float, patience: Patience) -> None:
    """Sleep, but only until the worker is asked to stop."""
    end = time.monotonic() + seconds
    while (left := end - time.monotonic()) > 0 and not patience.leave():
        time.sleep(min(left, 0.5))


def _fault_of(error: BaseException) -> Exception | None:
    """Return the database's or the network's own error behind ``error``: Optuna wraps them in its own."""
    seen: BaseException | None = error
    while seen is not None:
        if isinstance(seen, DBAPIError | PoolTimeout) or _status_of(seen):
            return seen if isinstance(seen, Exception) else None
        # Optuna asks in another way where the first failed; SQLAlchemy then only says that it had failed.
        seen = seen.__context__ if isinstance(seen, PendingRollbackError) else seen.__cause__
    return None


def _status_of(error: BaseException) -> str:
    """Return the status of a failed gRPC call without importing grpc; empty for other errors."""
    code = getattr(error, "code", None)
    if not callable(code) or not type(error).__module__.startswith("grpc"):
        return ""
    return str(getattr(code(), "name", ""))


def _is_answer(error: Exception, fault: Exception) -> bool:
    """Return whether Optuna's gRPC client has turned a call's status into an answer, such as "exists already"."""
    return bool(_status_of(fault)) and fault is not error and not is_passing(fault)


def _line_of(fault: Exception, patience: Patience) -> str:
    return reason_of(fault, patience.url) if isinstance(fault, SQLAlchemyError) else f"gRPC: {_status_of(fault)}"


def is_passing(error: Exception) -> bool:
    """Return whether the same call may succeed later: lost connection, lock, serialization failure, restart."""
    if isinstance(error, PoolTimeout):
        return True
    if not isinstance(error, DBAPIError):
        return _status_of(error) in ("UNAVAILABLE", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "ABORTED", "UNKNOWN")
    if error.connection_invalidated:
        return True
    state = getattr(error.orig, "sqlstate", None) or ""
    if state[:2] in ("08", "40", "53", "57") or state == "55P03":
        return True
    text = str(error.orig).lower()
    return type(error).__name__ in ("OperationalError", "InterfaceError") and any(sign in text for sign in _PASSING)


_PASSING = (
    *("database is locked", "database is busy", "connection", "server closed", "deadlock", "lock wait timeout"),
    *("consuming input failed", "terminat", "starting up", "shutting down", "ssl syscall"),
    *("disk is full", "no space left", "disk i/o error"),  # SQLite's and MySQL's words; somebody may make room
)


def is_readonly(error: DBAPIError) -> bool:
    """Return whether the database allows no writes: a protected file, or a read-only server."""
    said = str(error.orig).lower()
    return getattr(error.orig, "sqlstate", None) == "25006" or "readonly database" in said or "read-only" in said


def only_read(url: URL | None) -> str:
    """Return what to do about a store that cannot be written to, in a line."""
    where, is_file = ("", False) if url is None else (f" at {shown(url)}", url.get_backend_name() == "sqlite")
    remedy = "write permission for the file and its folder" if is_file else "a server or user that may write"
    return f"the store{where} can only be read, so nothing was changed; give it {remedy}, or name another by --storage"


def reason_of(error: SQLAlchemyError, url: URL | None = None) -> str:
    """Return the driver's own first line, without the secrets of ``url``."""
    text = str(getattr(error, "orig", None) or error).strip().splitlines()
    return hide(text[0] if text else type(error).__name__, url)
