from __future__ import annotations

import shutil
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text
from sqlalchemy.dialects import mysql
from sqlalchemy.exc import OperationalError, ProgrammingError

from search.errors import SchemaError, StoreUrlError
from search.records.study import TrialState
from search.store import connection, leases, migrate, reading
from search.store.checked_columns import Real
from search.store.connection import Engine
from search.store.tables import Base

DATABASES = Path(__file__).with_name("databases")


def differences(engine: Engine) -> list[object]:
    def ours(name: str | None, kind: str, *_: object) -> bool:
        return kind != "table" or bool(name and name.startswith("ft_") and name != migrate.VERSION_TABLE)

    with engine.connect() as link:
        options = {"version_table": migrate.VERSION_TABLE, "include_name": ours, "compare_type": _compare}
        return list(compare_metadata(MigrationContext.configure(link, opts=options), Base.metadata))


def _compare(_: object, __: object, ___: object, found: object, wanted: object) -> bool | None:
    """Take MySQL's DOUBLE for the FLOAT(53) it was asked for; None leaves all others to alembic."""
    return False if isinstance(found, mysql.DOUBLE) and isinstance(wanted, Real) else None


def test_migrations_lead_to_the_tables_as_they_are(engine: Engine) -> None:
    assert migrate.current(engine) == migrate.head()
    assert differences(engine) == []


@pytest.mark.parametrize("path", sorted(DATABASES.glob("*.db")), ids=lambda path: path.stem)
def test_a_database_of_every_released_schema_is_upgraded_and_usable(path: Path, tmp_path: Path) -> None:
    shutil.copy(path, tmp_path / "store.db")
    engine = connection.connect(f"sqlite:///{tmp_path}/store.db")
    migrate.upgrade(engine)
    assert differences(engine) == []
    (summary,) = reading.list_studies(engine)
    study = reading.load_study(engine, summary.name)
    assert study.trials[0].state is TrialState.COMPLETE
    assert study.trials[0].epochs
    claim = leases.claim(engine, summary.name, "w", 60)
    assert claim is not None
    assert claim.number == len(study.trials)
    engine.dispose()


def test_there_is_a_database_of_this_schema() -> None:
    assert (DATABASES / f"schema-{migrate.head()}.db").exists()


PROGRAM = """
import sys
from search.store import connection, migrate
engine = connection.connect(sys.argv[1])
migrate.upgrade(engine)
engine.dispose()
"""


def test_processes_that_upgrade_at_once_do_not_disturb_each_other(
    url: str, tmp_path: Path, start_program: Callable[..., BaseProcess]
) -> None:
    workers = [start_program(PROGRAM, url) for _ in range(4)]
    for worker in workers:
        worker.join(120)
    assert [worker.exitcode for worker in workers] == [0] * 4, (tmp_path / "output.err").read_text()


def test_a_lock_goes_with_its_connection(engine: Engine) -> None:
    if engine.dialect.name != "postgresql":
        pytest.skip("a server that ends connections")
    other = connection.connect(str(engine.url.render_as_string(hide_password=False)))
    everyone = text("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
                    "AND pid <> pg_backend_pid()")  # fmt: skip
    with migrate.exclusive(engine), other.connect() as link:
        link.execute(everyone)
    with migrate.exclusive(other):  # nobody holds it
        pass
    other.dispose()


def test_an_upgrade_continues_after_the_server_was_away(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine, plain, failures = connection.connect(url), migrate.command.upgrade, [1]

    def upgrade(*args: object) -> None:
        if failures:
            failures.clear()
            raise OperationalError("SELECT 1", {}, Exception("server closed the connection unexpectedly"))
        plain(*args)

    monkeypatch.setattr(migrate.command, "upgrade", upgrade)
    migrate.upgrade(engine)
    assert migrate.current(engine) == migrate.head()
    engine.dispose()


def test_what_a_database_refuses_for_good_is_reported_at_once(url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    engine = connection.connect(url)

    def upgrade(*_: object) -> None:
        raise ProgrammingError("CREATE TABLE t", {}, Exception("permission denied for schema public"))

    monkeypatch.setattr(migrate.command, "upgrade", upgrade)
    with pytest.raises(StoreUrlError, match=r"cannot set up the store at .*: permission denied for schema public"):
        migrate.upgrade(engine)
    engine.dispose()


def test_a_newer_schema_is_refused_and_left_alone(engine: Engine) -> None:
    with engine.begin() as link:
        link.execute(text(f"UPDATE {migrate.VERSION_TABLE} SET version_num = '9999'"))
    with pytest.raises(SchemaError, match=rf"schema 9999, this ftsearch knows up to {migrate.head()}"):
        migrate.upgrade(engine)
    assert migrate.current(engine) == "9999"


def test_two_versions_at_once_are_one_line(engine: Engine) -> None:
    with engine.begin() as link:
        link.execute(text(f"INSERT INTO {migrate.VERSION_TABLE} VALUES ('other')"))
    for read in (migrate.current, migrate.upgrade):
        with pytest.raises(SchemaError, match=r"has several schema versions .*was changed by hand"):
            read(engine)
