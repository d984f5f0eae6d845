"""Every model format keeps what a network computes, at any batch size."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torch import nn

from search.errors import RunError, UserError
from search.model.formats import model_format, model_formats
from spaces import backbones
from spaces.heads import Features, HeadChoice, vector_head
from spaces.networks.inference import InferenceNetwork, rebuild
from spaces.networks.space import Space

SIZE = (64, 64)


def head(features: Features, choice: HeadChoice, decided: object) -> nn.Module:
    return vector_head(features, 3, choice)


@pytest.fixture(scope="module")
def network() -> InferenceNetwork:
    space = Space(backbones.resolve("resnet18").pretrained("none", SIZE, seed=3), {})
    return rebuild(space.baseline(), space.pretrained, head)


@pytest.mark.parametrize("name", list(model_formats()))
def test_a_file_computes_what_the_network_does(name: str, network: InferenceNetwork, tmp_path: Path) -> None:
    known = model_format(name)
    inputs = torch.randn(5, 3, *SIZE)
    path = tmp_path / known.file_name
    known.write(network, inputs[:2], path, {"model.json": '{"classes": ["a"]}'})
    assert path.is_file()

    def again(state: object) -> nn.Module:
        space = Space(backbones.resolve("resnet18").pretrained("none", SIZE), {})
        return rebuild(space.baseline(), space.pretrained, head, state)

    opened = known.open(path, again)
    with torch.inference_mode():
        expected = network(inputs)
        for count in (1, 3, 5):
            found = opened(inputs[:count])
            assert float((found - expected[:count]).abs().max()) <= known.tolerance * float(expected.abs().max())


@pytest.mark.parametrize("name", list(model_formats()))
def test_a_damaged_file_is_refused_in_one_line(name: str, tmp_path: Path) -> None:
    known = model_format(name)
    path = tmp_path / known.file_name
    path.write_bytes(b"not a model")
    with pytest.raises(UserError) as refused:
        known.open(path, lambda _: nn.Identity())
    assert "\n" not in str(refused.value)
    assert str(path) in str(refused.value)


@pytest.mark.parametrize("name", [name for name in model_formats() if name != "safetensors"])
def test_a_network_that_cannot_be_written_is_refused_in_one_line(
    name: str, network: InferenceNetwork, tmp_path: Path
) -> None:
    class Stubborn(InferenceNetwork):
        def __init__(self) -> None:
            nn.Module.__init__(self)
            self.taps = ()

        def forward(self, inputs: torch.Tensor) -> torch.Tensor:
            raise ValueError("this network\nrefuses")

    with pytest.raises(RunError, match=f"cannot be written as {name}") as refused:
        model_format(name).write(Stubborn(), torch.zeros(2, 3, 8, 8), tmp_path / "model", {})
    assert "\n" not in str(refused.value)


def test_an_unknown_format_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UserError, match=r"unknown model format 'onx'; expected one of onnx, pt2"):
        model_format("onx")


@pytest.mark.parametrize("name", list(model_formats()))
def test_a_format_says_what_it_needs(name: str) -> None:
    known = model_formats()[name]
    assert known.needs
    assert known.file_name in known.snippet({"shape": "3, 8, 8"}) or name == "safetensors"
    compile(known.snippet({"shape": "3, 8, 8"}), name, "exec")


def test_ranks_and_files_are_all_different() -> None:
    known = model_formats().values()
    assert len({each.rank for each in known}) == len({each.file_name for each in known}) == len(list(known))
