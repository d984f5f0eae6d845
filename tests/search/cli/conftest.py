"""A store with one finished study, made once, and a command line that is run in place."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Callable
from contextlib import redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pytest
from PIL import Image

from search import cli
from search.api import run_study

STUDY = """\
name: colours
data: {path: data, val_share: 0.25}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {freeze: {}, tail: {high: 3}, head: {hidden: 1}, optimizer: {}}
training: {epochs: 2, batch_size: 9, augmentation: none}
search: {trials: 6, pruner: {name: median, startup: 2}, final: off}
"""


class Done(NamedTuple):
    """What a command left: exit code, standard output, standard error."""

    code: int
    out: str
    err: str

    @property
    def data(self) -> Any:
        return json.loads(self.out)


@pytest.fixture(scope="session")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images, a study file and a store in which that study has ended."""
    root = tmp_path_factory.mktemp("finished")
    for kind, name in enumerate(("red", "green", "blue")):
        (root / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = np.random.default_rng(100 * kind + number).integers(0, 80, (16, 20, 3), dtype=np.uint8)
            pixels[..., kind] += 150
            Image.fromarray(pixels).save(root / "data" / name / f"{number}.png")
    (root / "study.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FTSEARCH_CACHE", str(root / "cache"))
        run_study("study.yaml", report=False)
    return root


@pytest.fixture
def here(finished: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working directory: a copy of the finished one."""
    shutil.copytree(finished, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def ftsearch(monkeypatch: pytest.MonkeyPatch) -> Callable[..., Done]:
    """The command line: arguments in, exit code and output out."""

    monkeypatch.setenv("COLUMNS", "200")

    def run(*arguments: object) -> Done:
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = cli.main([str(argument) for argument in arguments])
        return Done(code, out.getvalue(), err.getvalue())

    return run
