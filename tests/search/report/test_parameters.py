from __future__ import annotations

import pytest

from search.report import parameters
from spaces.backbones._base import Pretrained
from spaces.decisions import registry
from spaces.networks.space import Space


@pytest.mark.parametrize(
    ("name", "words"),
    [
        ("optimizer.adamw.lr_backbone", "backbone learning rate (AdamW)"),
        ("optimizer.sgd.lr_head", "head learning rate (SGD)"),
        ("freeze", "units frozen"),
        ("freeze@resnet18", "units frozen, resnet18"),
        ("kernel.1", "kernel change 1"),
        ("head.width2", "width of the head's layer 2"),
        ("own_plugin.some_strength", "own plugin some strength"),
    ],
)
def test_parameters_have_words(name: str, words: str) -> None:
    assert parameters.label(name) == words


def test_no_parameter_of_a_study_is_shown_under_its_key(tiny: Pretrained) -> None:
    kinds = {name: decision.options() for name, decision in registry().items() if name != "length"}
    names = Space(tiny, kinds).parameters()
    assert len(names) > 10
    assert [name for name in names if "_" in parameters.label(name) or "." in parameters.label(name)] == []


def test_a_value_has_one_form() -> None:
    found = [parameters.value(one) for one in (0.00045, 0.05, 3, True, "5@features.2")]
    assert found == ["4.5e-4", "0.05", "3", "on", "5@features.2"]
