"""A store with a finished study, for what is done with whole studies."""

from __future__ import annotations

import shutil
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from search.api import run_study


@pytest.fixture(scope="session")
def first(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the first finished study is kept: the others are copies of it."""
    return tmp_path_factory.mktemp("first") / "study"


@pytest.fixture
def url(first: Path, folder: Path, study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a store with a finished study of three trials, whose data have test images."""
    monkeypatch.chdir(tmp_path)
    found = f"sqlite:///{tmp_path}/store.db"
    if first.exists():
        old = (first.parent / "path").read_text()
        shutil.copytree(first, tmp_path, dirs_exist_ok=True)
        study_file.write_text(study_file.read_text().replace(old, str(tmp_path)))
        move(tmp_path / "store.db", old, str(tmp_path))
        return found
    text = study_file.read_text().replace("val_share: 0.25", "val_share: 0.25, test_share: 0.2")
    study_file.write_text(text.replace("trials: 2", "trials: 3") + "faults: {lease: 2}\n")
    run_study(study_file, storage=found, report=False)
    shutil.copytree(tmp_path, first)
    (first.parent / "path").write_text(str(tmp_path))
    return found


def move(database: Path, old: str, new: str) -> None:
    """Move every path in ``database`` from ``old`` to ``new``."""
    with closing(sqlite3.connect(database)) as link, link:
        for (table,) in link.execute("SELECT name FROM sqlite_master WHERE type = 'table'").fetchall():
            for _, column, *_ in link.execute(f"PRAGMA table_info({table})").fetchall():
                changed = f'UPDATE {table} SET "{column}" = replace("{column}", ?, ?) WHERE instr("{column}", ?)'
                link.execute(changed, (old, new, old))
