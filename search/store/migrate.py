"""Schema migrations: applied on first use, by one process at a time; a newer schema is refused."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from zlib import crc32

from alembic import command
from alembic.config import Config
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from filelock import FileLock
from sqlalchemy import Engine, text
from sqlalchemy.exc import DBAPIError

from search.errors import RunError, SchemaError, StoreUrlError
from search.store.connection import is_passing, reason_of, retried, shown

VERSION_TABLE = "ft_alembic_version"
"""Not Alembic's own default name: Optuna keeps its version under that one."""
_LOCK = crc32(b"ftsearch schema")


@cache  # reading it runs the file of every version
def _scripts() -> ScriptDirectory:
    return ScriptDirectory.from_config(_config())


def head() -> str:
    """Return the schema version of this program."""
    return str(_scripts().get_current_head())


@retried
def current(engine: Engine) -> str | None:
    """Return the schema version of the database; None when our tables are not there yet.

    Raises:
        SchemaError: it has several, which ftsearch never writes.
    """
    with engine.connect() as connection:
        heads = MigrationContext.configure(connection, opts={"version_table": VERSION_TABLE}).get_current_heads()
    if len(heads) > 1:
        raise SchemaError(
            f"the store at {shown(engine.url)} has several schema versions ({', '.join(map(str, heads))}): the table "
            f"{VERSION_TABLE} was changed by hand; leave the right one in it"
        )
    return heads[0] if heads else None


@retried
def upgrade(engine: Engine) -> None:
    """Bring the database's schema to this program's version; safe when several processes do it at once.

    Raises:
        SchemaError: the database was written by a newer ftsearch; nothing is changed.
        StoreUrlError: the database refuses it.
    """
    if current(engine) == head():
        return
    with exclusive(engine):
        version = current(engine)
        known = {script.revision for script in _scripts().walk_revisions()}
        if version is not None and version not in known:
            raise SchemaError(
                f"the store at {shown(engine.url)} has schema {version}, this ftsearch knows up to {head()}; "
                "install the newer ftsearch that wrote it"
            )
        config = _config()
        try:
            with engine.connect() as connection:
                config.attributes["connection"] = connection
                command.upgrade(config, "head")
                connection.commit()
        except DBAPIError as error:
            if is_passing(error):
                raise
            # Not chained: retries would take it for the database's own.
            reason = reason_of(error, engine.url)
            raise StoreUrlError(f"cannot set up the store at {shown(engine.url)}: {reason}") from None


@contextmanager
def exclusive(engine: Engine) -> Iterator[None]:
    """Hold a lock that keeps other processes from changing the schema."""
    if engine.dialect.name == "sqlite":
        lock = FileLock(f"{Path(str(engine.url.database)).absolute()}.lock")
        try:
            lock.acquire()
        except OSError as error:
            raise StoreUrlError(f"cannot write beside the store {shown(engine.url)}: {error.strerror}") from error
        try:
            yield
        finally:
            lock.release()
        return
    take, give = {
        "postgresql": (f"SELECT pg_advisory_lock({_LOCK})", f"SELECT pg_advisory_unlock({_LOCK})"),
        "mysql": (f"SELECT GET_LOCK('ft{_LOCK}', 60)", f"SELECT RELEASE_LOCK('ft{_LOCK}')"),
    }[engine.dialect.name]
    with engine.connect() as connection:
        if connection.execute(text(take)).scalar() == 0:
            raise RunError(
                f"another process has been changing the schema of {shown(engine.url)} for a minute; try again"
            )
        connection.commit()
        try:
            yield
        finally:
            try:
                connection.execute(text(give))
                connection.commit()
            except DBAPIError as error:
                if not error.connection_invalidated:  # a lost connection has lost its locks too
                    raise


def _config() -> Config:
    config = Config()
    config.set_main_option("script_location", str(Path(__file__).with_name("migrations")))
    config.set_main_option("path_separator", "os")
    return config
