"""Packages of somebody else add a decision, backbones, a task: installed by pip, not a line changed here."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import wave
from pathlib import Path

import numpy as np
import pytest

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


def ftsearch(site: Path, cwd: Path, *arguments: str) -> str:
    done = called(site, cwd, *arguments)
    assert done.returncode == 0, done.stderr + done.stdout
    return done.stdout


def refusal(site: Path, cwd: Path, *arguments: str) -> str:
    done = called(site, cwd, *arguments)
    assert done.returncode == 2, done.stderr + done.stdout
    return done.stderr


def called(site: Path, cwd: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    places = os.pathsep.join([str(site), str(Path(__file__).parents[1])])
    return subprocess.run(
        [sys.executable, "-m", "search", *arguments],
        cwd=cwd,
        env=os.environ | {"PYTHONPATH": places, "COLUMNS": "200"},
        capture_output=True,
        text=True,
        check=False,
    )


def test_a_decision_and_a_backbone_of_somebody_else_go_all_the_way(site: Path, folder: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    study.write_text(STUDY.format(path=folder))
    assert "toy:two_blocks" in ftsearch(site, tmp_path, "backbones", "--grep", "toy:")
    plan = ftsearch(site, tmp_path, "plan", str(study))
    assert "activation" in plan
    assert "TwoBlocks" in plan
    ftsearch(site, tmp_path, "run", str(study))
    listed = ftsearch(site, tmp_path, "trials", "theirs")
    assert "TwoBlocks from scratch" in listed
    assert "SiLU for ReLU" in listed
    ftsearch(site, tmp_path, "report", "theirs", "-o", "report.html")
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


def test_a_task_of_somebody_else_goes_all_the_way(site: Path, tmp_path: Path) -> None:
    study = tmp_path / "study.yaml"
    tones(tmp_path / "tones")
    study.write_text((PACKAGE / "study.yaml").read_text().replace("trials: 4", "trials: 2"))
    plan = ftsearch(site, tmp_path, "plan", str(study))
    assert "tones: 3 classes" in plan
    ftsearch(site, tmp_path, "run", str(study))
    best = json.loads(ftsearch(site, tmp_path, "best", "tones", "--json"))
    assert best["value"] > 0.6
    assert "audio" in ftsearch(site, tmp_path, "studies")
    ftsearch(site, tmp_path, "report", "tones", "-o", "report.html")
    assert "Confusion matrix of the winner" in (tmp_path / "report.html").read_text()
    (tmp_path / "tones" / "low" / "0.wav").write_bytes(b"RIFF")
    study.write_text(study.read_text().replace("name: tones", "name: broken"))
    refused = refusal(site, tmp_path, "run", str(study))
    assert "0.wav: no WAV file" in refused


def test_plug_ins_stay_small() -> None:
    assert {path.name: len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")}.keys() >= {"audio.py"}
    assert max(len(path.read_text().splitlines()) for path in PACKAGE.rglob("*.py")) < 120
