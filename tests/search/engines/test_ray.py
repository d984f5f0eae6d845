from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.engines import Order, Placement
from search.engines.ray import Ray
from search.errors import UserError

PROGRAM = Path(__file__).parents[2] / "benchmarks" / "ray_cluster.py"


def test_without_ray_it_is_told_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"install ftsearch\[ray\]"):
        Ray(Order("s", "sqlite:///s.db", tmp_path, "cpu", Placement("ray"))).start(1)


@pytest.mark.slow
def test_a_node_that_is_removed_costs_no_trial(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "trials 24 of 24" in done.stdout
