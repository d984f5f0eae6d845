from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_report_is_written_where_it_is_asked_for(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert ftsearch("report", "colours", "-o", "deep/x.html").code == 0
    assert "<!doctype html>" in (here / "deep/x.html").read_text()
    assert ftsearch("report", "colours").code == 0
    assert (here / "runs/colours/report.html").exists()


def test_a_report_that_cannot_be_written_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("report", "colours", "-o", "/proc/x.html")
    assert done.code == 2
    assert "cannot write the report" in done.err
