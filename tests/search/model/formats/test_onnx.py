from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest
import torch

from search.errors import UserError
from search.model.formats import model_format as by_name
from search.model.formats import onnx as module
from search.model.formats.onnx import model_format
from spaces import backbones
from spaces.heads import vector_head
from spaces.networks.inference import rebuild
from spaces.networks.space import Space


def test_the_file_runs_without_torch_and_carries_its_facts(tmp_path: Path) -> None:
    space = Space(backbones.resolve("squeezenet1_1").pretrained("none", (64, 64)), {})
    plain = rebuild(space.baseline(), space.pretrained, lambda features, choice, _: vector_head(features, 3, choice))
    model_format.write(plain, torch.zeros(2, 3, 64, 64), tmp_path / "model.onnx", {"model.json": '{"a": 1}'})
    assert [path.name for path in tmp_path.iterdir()] == ["model.onnx"]
    program = (
        "import sys, numpy, onnxruntime\n"
        "session = onnxruntime.InferenceSession('model.onnx')\n"
        "(outputs,) = session.run(['outputs'], {'inputs': numpy.zeros((7, 3, 64, 64), dtype=numpy.float32)})\n"
        "assert outputs.shape == (7, 3)\n"
        "assert session.get_modelmeta().custom_metadata_map['model.json'] == '{\"a\": 1}'\n"
        "sys.exit(any(name.split('.')[0] in ('search', 'spaces', 'torch') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={}, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()


def test_without_its_packages_the_command_that_installs_them_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_PACKAGES", ("no_such_package",))
    with pytest.raises(UserError, match=r"pip install ftsearch\[onnx\]"):
        by_name("onnx")
    with pytest.raises(UserError, match=r"pip install ftsearch\[onnx\]"):
        model_format.open(Path("model.onnx"), lambda _: torch.nn.Identity())
