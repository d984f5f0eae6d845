"""Tiny networks and data sets for all tests, and a cache of their own."""

from __future__ import annotations

import gc
import multiprocessing
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import IO

import migrations_once  # noqa: F401
import numpy as np
import pytest
import statements_once  # noqa: F401
import torch
from PIL import Image
from torch import nn

from search.workers.launchers import local
from spaces.backbones._base import Preprocessing, Pretrained
from spaces.chains import chain as chains

torch.set_num_threads(1)
gc.disable()  # until all tests are collected: walking through a growing million of objects takes half of that time


@pytest.hookimpl(tryfirst=True)
def pytest_runtestloop() -> None:
    """Leave what was loaded and collected out of every later collection: each would take half a second.

    What of it is garbage stays: 60,000 small objects, which would take three seconds to find.
    """
    gc.enable()
    gc.freeze()


@pytest.hookimpl(trylast=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> None:
    """Leave what a room's tests have loaded out of the collections of later rooms: transformers alone is a million."""
    if nextitem is not None and nextitem.path.parent != item.path.parent:
        gc.collect()
        gc.freeze()


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    """Give slow tests the time they take beside others: tracing a detector takes half a minute of a core of its own."""
    for item in items:
        if item.get_closest_marker("slow"):
            item.add_marker(pytest.mark.timeout(1800))


@pytest.hookimpl(trylast=True)
def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Print a failure's one line when it happens: the details come at the end, minutes later."""
    if report.failed and not os.environ.get("PYTEST_XDIST_WORKER"):
        crash = getattr(report.longrepr, "reprcrash", None)
        reason = str(crash.message if crash else report.longrepr).partition("\n")[0]
        print(f"\nFAILED {report.nodeid}: {reason[:300]}", flush=True)  # noqa: T201


class Block(nn.Module):
    """A residual block with batch norm."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.conv = nn.Conv2d(channels, channels, 3, padding=1)
        self.norm = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.relu(x + self.norm(self.conv(x)))


def tiny_network() -> nn.Sequential:
    """A stem with stride 2, two residual blocks, a down-sampling convolution, a classifier: four units."""
    torch.manual_seed(0)
    return nn.Sequential(
        nn.Sequential(nn.Conv2d(3, 8, 3, stride=2, padding=1), nn.BatchNorm2d(8), nn.ReLU()),
        Block(8),
        Block(8),
        nn.Sequential(nn.Conv2d(8, 16, 3, stride=2, padding=1, groups=4), nn.ReLU()),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(16, 5),
    )


@pytest.fixture
def tiny() -> Pretrained:
    """A tiny pretrained chain of four units for 16x16 images."""
    network = tiny_network().eval()
    chain = chains.cut(network, (16, 16))
    for unit in chain:
        unit.module.requires_grad_(False)
    return Pretrained("test:tiny", "Tiny", "random", "", Preprocessing(), chain)


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
    monkeypatch.delenv("FTSEARCH_STORAGE", raising=False)


_LOADED = ["search.api", "search.workers.worker", "migrations_once", "statements_once"]
_PROLOGUE = """\
import os, sys
os.environ.clear()
os.environ.update({environment!r})
sys.argv = {argv!r}
for stream, path in ((1, {output!r}), (2, {errors!r})):
    os.dup2(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND), stream)
if "FTSEARCH_PARENT" in os.environ:
    os.environ["FTSEARCH_PARENT"] = str(os.getppid())
"""


@pytest.fixture
def start_program(tmp_path: Path) -> Iterator[Callable[..., BaseProcess]]:
    """Start code as a program in a process of its own, forked from one that has loaded the libraries.

    Loading torch and torchvision takes 5 seconds of CPU, which a session pays once. Takes the code, ``sys.argv`` after
    the program's name, and the file for its ``output``; ``errors`` go beside it, into ``.err``, by default. What still
    runs is killed.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(_LOADED)
    started: list[BaseProcess] = []

    def start(
        code: str,
        *argv: object,
        output: Path = tmp_path / "output.txt",
        errors: Path | None = None,
        environment: Mapping[str, str] = os.environ,
    ) -> BaseProcess:
        prologue = _PROLOGUE.format(
            environment=dict(environment),
            argv=["program", *map(str, argv)],
            output=str(output),
            errors=str(errors or output.with_suffix(".err")),
        )
        process = context.Process(target=exec, args=(prologue + code, {"__name__": "__main__"}))
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
        process.join()
        process.close()


class Forked:
    """A process of ``start_program`` with what launchers use of ``subprocess.Popen``."""

    def __init__(self, process: BaseProcess) -> None:
        self._process = process
        self.pid, self.terminate, self.kill = process.pid, process.terminate, process.kill

    @property
    def returncode(self) -> int | None:
        return self._process.exitcode

    def poll(self) -> int | None:
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int | None:
        self._process.join(timeout)
        return self._process.exitcode


@pytest.fixture
def forked_workers(start_program: Callable[..., BaseProcess], monkeypatch: pytest.MonkeyPatch) -> None:
    """Let the local launcher fork its workers, as ``start_program`` does, where how they start is not the matter."""

    def popen(command: Sequence[str], env: Mapping[str, str], stdout: IO[bytes], **_: object) -> Forked:
        log = Path(stdout.name)
        code = "import sys\nfrom search.cli import main\nsys.exit(main(sys.argv[1:]))"
        arguments = command[command.index("search") + 1 :]
        return Forked(start_program(code, *arguments, output=log, errors=log, environment=env))

    monkeypatch.setattr(local.subprocess, "Popen", popen)


def draw_image(path: Path, kind: int, seed: int, size: tuple[int, int] = (20, 16)) -> Path:
    """Write an image whose class is its dominant colour."""
    pixels = np.random.default_rng(seed).integers(0, 80, (size[1], size[0], 3), dtype=np.uint8)
    pixels[..., kind % 3] += 150
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(path)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An image folder with the classes blue, green and red, 12 images each."""
    root = tmp_path / "colours"
    for kind, name in enumerate(("red", "green", "blue")):
        for number in range(12):
            draw_image(root / name / f"{number:02d}.png", kind, 100 * kind + number)
    return root


STUDY = """\
name: {name}
data: {{path: {path}, val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 32
space:
  freeze: {{}}
  tail: {{high: 3}}
  head: {{hidden: 1, widths: [8, 16]}}
  penalty: {{kinds: [none, l2]}}
  optimizer: {{}}
training: {{epochs: {epochs}, batch_size: 9, augmentation: none}}
search: {{portfolio: off, trials: {trials}, seed: 3, pruner: none, final: off}}
"""


@pytest.fixture
def study_file(folder: Path, tmp_path: Path) -> Path:
    """A study of two trials and two epochs that takes seconds."""
    path = tmp_path / "study.yaml"
    path.write_text(STUDY.format(name="colours", path=folder, epochs=2, trials=2))
    return path
