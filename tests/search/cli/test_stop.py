from __future__ import annotations

import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest


def test_a_stopped_study_hands_out_no_trial(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("stop", "colours")
    assert (done.code, "colours is stopped; no workers are running" in done.out) == (0, True)
    assert ftsearch("status", "colours", "--json").data["stopping"]
    assert "has been stopped" in ftsearch("status", "colours").out


def test_an_unknown_study_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert ftsearch("stop", "nothing").code == 2


@pytest.mark.parametrize(
    ("event", "command", "call"),
    [
        ("UPDATE", "stop colours", "request_stop"),
        ("UPDATE", "delete colours --yes", "request_stop"),
        ("DELETE", "delete colours --yes", "delete_study"),
        ("UPDATE", "retry colours --failed", "retry_failed"),
        ("INSERT", "confirm colours --seeds 1 --top 1", "add"),
        ("INSERT", "refit colours --epochs 1", "add"),
        ("UPDATE", "run study.yaml --trials 7 --no-report", "_create"),
        ("INSERT", "run study.yaml --trials 7 --no-report", "enter"),
        ("INSERT", "worker colours", "enter"),
    ],
)
def test_a_database_that_refuses_a_write_is_one_line(
    here: Path, ftsearch: Callable[..., Any], event: str, command: str, call: str
) -> None:
    (store,) = here.rglob("ftsearch.db")
    with closing(sqlite3.connect(store)) as link, link:
        link.execute("UPDATE ft_trial SET state = 'failed' WHERE number = 5")
        tables = link.execute("SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'")
        for (table,) in tables.fetchall():
            link.execute(
                f"CREATE TRIGGER no_{table} BEFORE {event} ON {table} BEGIN SELECT RAISE(ABORT, 'no, never'); END"
            )
    done = ftsearch(*command.split())
    assert done.code == 1
    assert done.err.splitlines()[-1] == f"Error: the database refused {call}: no, never"
    assert "Traceback" not in done.err


@pytest.mark.parametrize("command", ["delete colours --yes", "run study.yaml --trials 7 --no-report", "worker colours"])
@pytest.mark.parametrize(
    "change",
    ["trials SET state = 'failed'", "trial_params SET distribution_json = '{'", "studies SET study_name = x'ff'"],
)
def test_rows_of_optuna_that_nobody_can_read_are_one_line(
    here: Path, ftsearch: Callable[..., Any], command: str, change: str
) -> None:
    (store,) = here.rglob("ftsearch.db")
    with closing(sqlite3.connect(store)) as link, link:
        link.execute(f"UPDATE {change}")
    done = ftsearch(*command.split())
    assert done.code in (0, 1)
    if done.code:
        assert done.err.splitlines()[-1].startswith("Error: ")
    assert "Traceback" not in done.err
