from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.trials.rejection_rules import RULES, Facts, why_hopeless
from spaces.backbones._base import Pretrained
from spaces.decisions import freeze
from spaces.decisions.optimizer import Optimizer
from spaces.heads import HeadChoice

FINE = Optimizer("sgd", 1e-2, 1e-3)


def facts(tiny: Pretrained, optimizer: Optimizer, *, frozen: int = 0, steps: int = 400, **values: Any) -> Facts:
    chain = freeze.decision.apply(tiny.chain, frozen)
    return Facts({"optimizer": optimizer, "head": HeadChoice(), **values}, chain, steps)


@pytest.mark.parametrize(
    ("optimizer", "more", "reason"),
    [
        (replace(FINE, lr_head=0.097), {}, "SGD's head rate 0.097 at momentum 0.9 diverges"),
        (replace(FINE, lr_backbone=0.03), {}, "a backbone rate of 0.03 leaves little"),
        (Optimizer("adamw", 1e-2, 3e-3), {}, "a backbone rate of 0.003 leaves little"),
        (Optimizer("sgd", 1e-3, 1e-3), {"frozen": 4, "steps": 28}, "28 steps at 0.001 teach a new head"),
        (Optimizer("adamw", 3e-4, 3e-4), {"frozen": 4, "steps": 28}, "28 steps at 0.0003 teach a new head"),
        (Optimizer("adamw", 2e-4, 9e-4), {"head_start": "random"}, "the backbone moves faster"),
        (FINE, {"batch_norm": "frozen"}, "SGD diverges"),
    ],
)
def test_a_candidate_ruled_out_says_why(
    tiny: Pretrained, optimizer: Optimizer, more: dict[str, Any], reason: str
) -> None:
    assert why_hopeless(facts(tiny, optimizer, **more)).startswith(reason)


@pytest.mark.parametrize(
    ("optimizer", "more"),
    [
        (FINE, {}),
        (Optimizer("adamw", 1e-3, 1e-4, schedule="cosine"), {}),
        (replace(FINE, lr_head=0.097), {"head": HeadChoice(norm=True)}),
        (replace(FINE, lr_backbone=0.03), {"frozen": 4}),
        (Optimizer("sgd", 1e-3, 1e-3), {"frozen": 4, "steps": 28, "head_start": "probe"}),
        (Optimizer("sgd", 1e-3, 1e-3), {"frozen": 4, "steps": 400}),
        (Optimizer("adamw", 2e-4, 9e-4), {"head_start": "probe"}),
        (Optimizer("adamw", 1e-4, 3e-4), {"batch_norm": "frozen"}),
    ],
)
def test_a_candidate_that_may_be_good_is_drawn(tiny: Pretrained, optimizer: Optimizer, more: dict[str, Any]) -> None:
    assert why_hopeless(facts(tiny, optimizer, **more)) == ""


def test_every_rule_rules_something_out(tiny: Pretrained) -> None:
    assert len(RULES) == 5
