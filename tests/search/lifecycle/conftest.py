"""A store with a finished study, for what is done with whole studies."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from search.api import run_study

MadeOnce = Callable[[str, Callable[[], object]], None]


@pytest.fixture(scope="session")
def kept(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first study of each kind is kept: the others are copies of it."""
    return tmp_path_factory.mktemp("kept")


@pytest.fixture
def made_once(kept: Path, folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> MadeOnce:
    """Fills the working directory of a test by a function, and those of later tests with copies of what it left."""
    monkeypatch.chdir(tmp_path)

    def fill(kind: str, run: Callable[[], object]) -> None:
        first, origin = kept / kind, kept / f"{kind}.txt"
        if not first.exists():
            run()
            shutil.copytree(tmp_path, first)
            origin.write_text(str(tmp_path))
            return
        old = origin.read_text()
        shutil.copytree(first, tmp_path, dirs_exist_ok=True)
        study_file.write_text(study_file.read_text().replace(old, str(tmp_path)))
        for database in tmp_path.rglob("*.db"):
            move(database, old, str(tmp_path))

    return fill


@pytest.fixture
def url(made_once: MadeOnce, study_file: Path, tmp_path: Path) -> str:
    """URL of a store with a finished study of three trials, whose data have test images."""
    found = f"sqlite:///{tmp_path}/store.db"

    def run() -> None:
        text = study_file.read_text().replace("val_share: 0.25", "val_share: 0.25, test_share: 0.2")
        study_file.write_text(text.replace("trials: 2", "trials: 3") + "faults: {lease: 2}\n")
        run_study(study_file, storage=found, report=False)

    made_once("finished", run)
    return found


def move(database: Path, old: str, new: str) -> None:
    """Move every path in ``database`` from ``old`` to ``new``."""
    with closing(sqlite3.connect(database)) as link, link:
        for (table,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in link.execute(f"PRAGMA table_info({table})").fetchall():
                changed = f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)'
                link.execute(changed, (old, new, old))
