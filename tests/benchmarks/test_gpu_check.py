from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import gpu_check


def test_a_stage_that_takes_too_long_is_ended_and_the_others_are_kept(tmp_path: Path) -> None:
    check = gpu_check.Check(tmp_path, tmp_path, time.monotonic() + 60)
    figures = tmp_path / "figures.json"
    says = [sys.executable, "-c", f"open({str(figures)!r}, 'w').write('{{\"speed\": 2.5}}')"]
    check.run(gpu_check.Stage("says", says, 30, figures))
    check.run(gpu_check.Stage("fails", [sys.executable, "-c", "raise SystemExit(3)"], 30))
    check.run(gpu_check.Stage("sleeps", [sys.executable, "-c", "import time; time.sleep(60)"], 0.5))
    found = json.loads((tmp_path / "gpu.json").read_text())
    assert {name: stage["state"] for name, stage in found.items()} == {
        "says": "done",
        "fails": "failed (3)",
        "sleeps": "cut short",
    }
    assert found["says"]["speed"] == 2.5
    assert "says: state done" in gpu_check.summary(found)[0]


def test_at_the_limit_nothing_more_is_started(tmp_path: Path) -> None:
    check = gpu_check.Check(tmp_path, tmp_path, time.monotonic())
    check.run(gpu_check.Stage("late", [sys.executable, "-c", "raise SystemExit"], 30))
    assert check.found == {"late": {"state": "no time left"}}


def test_outcomes_are_read_from_the_last_line_of_pytest(tmp_path: Path) -> None:
    (tmp_path / "log").write_text("....\n3 failed, 66 passed, 12 skipped in 9.0s\n")
    assert gpu_check.outcomes(tmp_path / "log") == {"failed": 3, "passed": 66, "skipped": 12}
