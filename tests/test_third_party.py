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

PYPROJECT = """\
[build-system]
requires = ["setuptools"]
build-backend = "setuptools.build_meta"

[project]
name = "ftsearch-example"
version = "1.0"

[project.entry-points."ftsearch.decisions"]
activation = "ftsearch_example:decision"

[project.entry-points."ftsearch.backbones"]
toy = "ftsearch_example:source"

[tool.setuptools]
py-modules = ["ftsearch_example"]
"""

MODULE = '''\
"""Activations as a decision, and a network of two blocks."""

from dataclasses import dataclass, replace
from typing import ClassVar

from torch import nn

from spaces.backbones._base import Backbone, Source
from spaces.decisions._base import Decision, Stage, read_choice
from spaces.surgery.edits import mirror, replace_submodule


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    names: tuple[str, ...] = ("relu", "silu")
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}


class Activation(Decision[str]):
    name, stage, options = "activation", Stage.RESHAPE, Range

    def choices(self, chain, within):
        return within.names

    def baseline(self, chain):
        return "relu"

    def sample(self, suggest, choices):
        return suggest.choice("activation", choices)

    def params(self, value, choices):
        return {"activation": value} if value in choices else None

    def apply(self, chain, value):
        if value == "relu":
            return chain
        return replace(chain, units=tuple(replace(unit, module=smooth(unit.module)) for unit in chain))

    def words(self, value, chain):
        return "SiLU for ReLU" if value == "silu" else ""

    def dump(self, value):
        return value

    def parse(self, data):
        return read_choice("activation", data, ("relu", "silu"))


def smooth(module):
    changed = mirror(module)
    for path, layer in list(changed.named_modules()):
        if isinstance(layer, nn.ReLU):
            replace_submodule(changed, path, nn.SiLU())
    return changed


class ToyBackbone(Backbone):
    name, label, weights, parameters, gflops = "toy:two_blocks", "TwoBlocks", (), 1000, 0.001

    def build(self, input_size):
        def block(channels, out):
            return nn.Sequential(nn.Conv2d(channels, out, 3, 2, 1), nn.BatchNorm2d(out), nn.ReLU())

        return nn.Sequential(block(3, 8), block(8, 16), nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(16, 10))


class Toy(Source):
    name = "toy"

    def names(self):
        return ("two_blocks",)

    def open(self, name):
        return ToyBackbone()


decision, source = Activation(), Toy()
'''

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
    """A folder into which pip has installed the package."""
    root = tmp_path_factory.mktemp("third")
    package = root / "package"
    package.mkdir()
    (package / "pyproject.toml").write_text(PYPROJECT)
    (package / "ftsearch_example.py").write_text(MODULE)
    return installed(package, root / "site")


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
    assert "TwoBlocks from scratch, SiLU for ReLU" in ftsearch(site, tmp_path, "trials", "theirs")
    ftsearch(site, tmp_path, "report", "theirs", "-o", "report.html")
    assert "SiLU for ReLU" in (tmp_path / "report.html").read_text()


AUDIO = """\
name: tones
task: audio
data: {{path: {path}, val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 64
space: {{head: {{hidden: 0}}, optimizer: {{names: [adamw]}}}}
training: {{epochs: 12, batch_size: 8}}
search: {{trials: 2, seed: 1, pruner: none}}
audio: {{stretch: 0.9}}
"""


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


def test_a_task_of_somebody_else_goes_all_the_way(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    root = tmp_path_factory.mktemp("audio")
    package = Path(shutil.copytree(Path(__file__).parent / "audio_package", root / "package"))
    assert len((package / "ftsearch_audio.py").read_text().splitlines()) < 150
    site = installed(package, root / "site")
    study = tmp_path / "study.yaml"
    study.write_text(AUDIO.format(path=tones(tmp_path / "tones")))
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
