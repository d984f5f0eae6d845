from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_worker_runs_what_is_left(here: Path, ftsearch: Callable[..., Any]) -> None:
    from search.store import connection

    engine = connection.connect("sqlite:///runs/ftsearch.db")
    with engine.begin() as link:
        link.exec_driver_sql("UPDATE ft_study SET target = 7")
    engine.dispose()
    done = ftsearch("worker", "colours", "--data", here / "data")
    assert done.code == 0, done.err
    assert "trial 6" in done.out


def test_a_worker_of_an_unknown_study_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert ftsearch("worker", "nothing").code == 2
