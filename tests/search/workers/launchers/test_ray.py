from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from search.errors import UserError
from search.workers.launchers import LaunchPlan, Placement
from search.workers.launchers.ray import Ray, _Worker

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "ray_cluster.py"


def test_without_ray_it_is_reported_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(UserError, match=r"install ftsearch\[ray\]"):
        Ray(LaunchPlan("s", "sqlite:///s.db", tmp_path, "cpu", Placement("ray"))).start(1)


def test_what_all_actors_refuse_is_reported_in_their_words(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    program = "import sys; sys.stderr.write('on the way\\nError: no candidate fits\\n'); sys.exit(2)"
    place = Ray(LaunchPlan("s", "sqlite:///s.db", tmp_path, "cpu", Placement("ray")))
    place._ended = [_Worker().run(["-c", program], {}), None]
    assert place._ended[0] == (2, "no candidate fits")
    assert "on the way" in capfd.readouterr().err
    assert (place.fault(), place.complaint()) == ("", "")
    place._ended[1] = (2, "no candidate fits")
    assert place.fault() == "no candidate fits"
    place._ended[1] = (1, "")
    assert not place.fault()
    assert "exit codes [1, 2]: no candidate fits" in place.complaint()


@pytest.mark.slow
def test_a_node_that_is_removed_costs_no_trial(tmp_path: Path) -> None:
    pytest.importorskip("ray")
    done = subprocess.run(
        [sys.executable, str(PROGRAM), str(tmp_path)], capture_output=True, text=True, timeout=280, check=False
    )
    assert done.returncode == 0, done.stdout[-3000:] + done.stderr[-3000:]
    assert "trials 24 of 24" in done.stdout
