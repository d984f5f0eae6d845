"""Third-party packages add a decision, backbones, a task: installed by pip, without changing a line here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest

from search.cli._progress import LOADING

PACKAGE = Path(__file__).parents[1] / "studies" / "plugin"

STUDY = """\
name: theirs
data: {{path: {path}, val_share: 0.25}}
backbone: toy:two_blocks
weights: none
input_size: 32
space: {{activation: {{names: [silu]}}, freeze: {{}}}}
training: {{epochs: 1, batch_size: 9, augmentation: none}}
search: {{trials: 2, seed: 1}}
"""


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which pip has installed the package of ``studies/plugin``."""
    root = tmp_path_factory.mktemp("plugin")
    return installed(Path(shutil.copytree(PACKAGE, root / "package")), root / "site")


def installed(package: Path, site: Path) -> Path:
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-deps", "--no-build-isolation", "--no-index"]
    subprocess.run([*command, "--target", str(site), str(package)], check=True, capture_output=True, text=True)
    return site


COMMANDS = """
import contextlib, io, json, sys
from search.cli import main
for words in json.loads(sys.argv[1]):
    out, err = io.StringIO(), io.StringIO()
    with contextlib.redirect_stdout(out), contextlib.redirect_stderr(err):
        code = main(words)
    print(json.dumps([code, out.getvalue(), err.getvalue()]))
"""


class Done(NamedTuple):
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str


@pytest.fixture
def ftsearch(site: Path, tmp_path: Path, start_program: Callable[..., BaseProcess]) -> Callable[..., list[Done]]:
    """Runs commands one after another in ``tmp_path``, in a process that finds the package; what each left."""

    def run(*commands: str) -> list[Done]:
        program = f"import os, sys\nos.chdir({str(tmp_path)!r})\nsys.path.insert(0, {str(site)!r})\n{COMMANDS}"
        done = start_program(
            program,
            json.dumps([command.split() for command in commands]),
            output=tmp_path / "commands.txt",
            environment=os.environ | {"COLUMNS": "200"},
        )
        done.join()
        assert done.exitcode == 0, (tmp_path / "commands.err").read_text()
        return [Done(*json.loads(line)) for line in (tmp_path / "commands.txt").read_text().splitlines()]

    return run


def test_a_decision_and_a_backbone_of_somebody_else_go_all_the_way(
    ftsearch: Callable[..., list[Done]], folder: Path, tmp_path: Path
) -> None:
    (tmp_path / "study.yaml").write_text(STUDY.format(path=folder))
    backbones, plan, run, trials, report = ftsearch(
        "backbones --grep toy:",
        "plan study.yaml",
        "run study.yaml",
        "trials theirs",
        "report theirs -o report.html",
    )
    assert "toy:two_blocks" in backbones.out
    assert "activation" in plan.out
    assert "TwoBlocks" in plan.out
    assert run.code == 0, run.err
    assert [line for line in run.err.splitlines() if LOADING not in line] == []
    assert "TwoBlocks from scratch" in trials.out
    assert "SiLU for ReLU" in trials.out
    assert report.code == 0
    assert "SiLU for ReLU" in (tmp_path / "report.html").read_text()


def tones(root: Path) -> Path:
    """Write sounds of half a second: low, high, and rising tones with noise."""
    seconds = np.arange(4000) / 8000
    for kind, hertz in (("low", 400 + 0 * seconds), ("high", 2400 + 0 * seconds), ("rising", 300 + 3000 * seconds)):
        for number in range(12):
            random = np.random.default_rng(number)
            phase = 2 * np.pi * np.cumsum(hertz * random.uniform(0.8, 1.2)) / 8000
            sound = 0.6 * np.sin(phase) + 0.05 * random.normal(size=len(phase))
            path = root / kind / f"{number}.wav"
            path.parent.mkdir(parents=True, exist_ok=True)
            with wave.open(str(path), "wb") as file:
                file.setparams((1, 2, 8000, 0, "NONE", ""))
                file.writeframes((sound.clip(-1, 1) * 32767).astype("<i2").tobytes())
    return root


def test_a_task_of_somebody_else_goes_all_the_way(ftsearch: Callable[..., list[Done]], tmp_path: Path) -> None:
    text = (PACKAGE / "study.yaml").read_text().replace("trials: 4", "trials: 2")
    tones(tmp_path / "tones")
    (tmp_path / "study.yaml").write_text(text)
    shutil.copytree(tmp_path / "tones", tmp_path / "broken")
    (tmp_path / "broken" / "low" / "0.wav").write_bytes(b"RIFF")
    (tmp_path / "broken.yaml").write_text(text.replace("tones", "broken"))
    plan, run, best, studies, report, refused = ftsearch(
        "plan study.yaml",
        "run study.yaml",
        "best tones --json",
        "studies",
        "report tones -o report.html",
        "run broken.yaml",
    )
    assert "tones: 3 classes" in plan.out
    assert run.code == 0, run.err
    assert [line for line in run.err.splitlines() if LOADING not in line] == []
    assert json.loads(best.out)["value"] > 0.6
    assert "audio" in studies.out
    assert report.code == 0
    assert "Confusion matrix of the winner" in (tmp_path / "report.html").read_text()
    assert refused.code == 2
    assert "0.wav: no WAV file" in refused.err


def test_plug_ins_stay_small() -> None:
    assert {path.name: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}.keys() >= {"audio.py"}
    assert max(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")) < 120
