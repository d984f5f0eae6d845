from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def fail(number: int) -> None:
    from search.store import connection

    engine = connection.connect("sqlite:///runs/ftsearch.db")
    with engine.begin() as link:
        link.exec_driver_sql(
            f"UPDATE ft_trial SET state = 'failed', failure_kind = 'disk', ended = 'full' WHERE number = {number}"
        )
    engine.dispose()


def test_failed_trials_run_again_with_their_candidates(here: Path, ftsearch: Callable[..., Any]) -> None:
    fail(3)
    before = ftsearch("trials", "colours", "--json").data[3]["candidate"]
    done = ftsearch("retry", "colours", "--failed")
    assert (done.code, "queued again: 3." in done.out) == (0, True), done.err
    assert "trial 3 waits for a worker" in ftsearch("status", "colours").out
    done = ftsearch("worker", "colours", "--device", "cpu")
    assert done.code == 0, done.err
    after = ftsearch("trials", "colours", "--json").data[3]
    assert (after["state"] in ("complete", "pruned"), after["candidate"]) == (True, before)
    assert "no failed trials" in ftsearch("retry", "colours", "--failed").out


def test_which_trials_to_retry_must_be_given(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert "say which trials" in ftsearch("retry", "colours").err
    done = ftsearch("retry", "colours", "--trial", 1)
    assert (done.code, "no failed trial 1 in colours" in done.err) == (2, True)
