from __future__ import annotations

from pathlib import Path

import torch
from safetensors import safe_open
from torch import nn

from search.model.formats.safetensors import model_format
from spaces import backbones
from spaces.heads import vector_head
from spaces.networks.inference import rebuild
from spaces.networks.space import Space


def test_keys_are_those_of_the_pretrained_network(tmp_path: Path) -> None:
    backbone = backbones.resolve("squeezenet1_1")
    space = Space(backbone.pretrained("none", (64, 64)), {})
    plain = rebuild(space.baseline(), space.pretrained, lambda features, choice, _: vector_head(features, 3, choice))
    model_format.write(plain, torch.zeros(2, 3, 64, 64), tmp_path / "model.safetensors", {"model.json": "{}"})
    with safe_open(tmp_path / "model.safetensors", "pt") as file:
        keys = set(file.keys())
        assert file.metadata() == {"format": "pt", "model.json": "{}"}
    own = set(backbone.build((64, 64)).state_dict())
    assert {key for key in keys if not key.startswith("head.")} == {key for key in own if "classifier" not in key}


def test_weights_come_back_by_name(tmp_path: Path) -> None:
    class Kept(nn.Module):
        def named_state(self) -> dict[str, torch.Tensor]:
            weight = torch.ones(2)
            return {"one": weight, "two": weight}

    found: dict[str, torch.Tensor] = {}
    model_format.write(Kept(), torch.zeros(1), tmp_path / "m.safetensors", {})
    model_format.open(tmp_path / "m.safetensors", lambda state: found.update(state) or nn.Identity())
    assert set(found) == {"one", "two"}
