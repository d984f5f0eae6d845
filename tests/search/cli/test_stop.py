from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any


def test_a_stopped_study_hands_out_no_trial(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("stop", "colours")
    assert (done.code, "colours is stopped; no workers are running" in done.out) == (0, True)
    assert ftsearch("status", "colours", "--json").data["stopping"]
    assert "has been stopped" in ftsearch("status", "colours").out


def test_an_unknown_study_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    assert ftsearch("stop", "nothing").code == 2
