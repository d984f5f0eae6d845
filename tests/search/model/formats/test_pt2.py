from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import torch

from search.model.formats.pt2 import model_format
from spaces import backbones
from spaces.heads import vector_head
from spaces.networks.inference import rebuild
from spaces.networks.space import Space


def test_the_file_runs_without_our_packages_and_carries_its_facts(tmp_path: Path) -> None:
    space = Space(backbones.resolve("squeezenet1_1").pretrained("none", (64, 64)), {})
    plain = rebuild(space.baseline(), space.pretrained, lambda features, choice, _: vector_head(features, 3, choice))
    model_format.write(plain, torch.zeros(2, 3, 64, 64), tmp_path / "model.pt2", {"model.json": '{"a": 1}'})
    program = (
        "import sys, torch\n"
        "found = {'model.json': ''}\n"
        "network = torch.export.load('model.pt2', extra_files=found).module()\n"
        "assert network(torch.zeros(7, 3, 64, 64)).shape == (7, 3)\n"
        "assert found['model.json'] == '{\"a\": 1}'\n"
        "sys.exit(any(name.split('.')[0] in ('search', 'spaces') for name in sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], cwd=tmp_path, env={}, check=False, capture_output=True)
    assert done.returncode == 0, done.stderr.decode()
