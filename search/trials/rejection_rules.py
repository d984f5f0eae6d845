"""Rules that reject candidates that are bound to be bad, each with its reason.

Given candidates (the plain recipe, warm starts, the portfolio) are exempt.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from spaces.chains.chain import Chain
from spaces.decisions.optimizer import Optimizer
from spaces.heads import HeadChoice

_LARGEST_STEP = 0.5
"""Learning rate over (1 - momentum) of a head on unnormalised features: at 0.97 the loss was 63 after an epoch, while
every run below 0.5 learnt."""
_LARGEST_BACKBONE = {"sgd": 0.2, "adamw": 1e-3}
"""Step size of pretrained weights, for SGD over (1 - momentum): larger ones destroy what was pretrained."""
_LEAST_WAY = {"sgd": 0.5, "adamw": 0.05}
"""Sum of all steps of a head that starts at random on frozen features: 28 steps of SGD at 1e-3 (0.28 with
momentum 0.9) or of AdamW at 3e-4 (0.008) ended at a third of the classes right."""
_AHEAD = 3.0
"""How many times the head's rate the backbone's may be: features that move faster than a head that has learnt nothing
yet are distorted by it (https://arxiv.org/abs/2202.10054)."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What the rules examine: ``values`` by decision, the ``chain`` with all edits, ``steps`` of the training."""

    values: Mapping[str, Any]
    chain: Chain
    steps: int

    @property
    def optimizer(self) -> Optimizer:
        optimizer: Optimizer = self.values["optimizer"]
        return optimizer

    @property
    def head(self) -> HeadChoice:
        head: HeadChoice = self.values["head"]
        return head

    @property
    def has_solved_head(self) -> bool:
        """Whether the head starts from weights that were solved for."""
        return self.values.get("head_start") == "probe"

    @property
    def is_frozen(self) -> bool:
        return all(unit.is_frozen for unit in self.chain)

    def step(self, rate: float) -> float:
        """Return how far a weight moves in the long run per unit of gradient."""
        return rate / (1 - self.optimizer.momentum) if self.optimizer.name == "sgd" else rate


def _too_fast_head(facts: Facts) -> str:
    if facts.optimizer.name != "sgd" or facts.head.norm or facts.step(facts.optimizer.lr_head) <= _LARGEST_STEP:
        return ""
    return f"SGD's head rate {facts.optimizer.lr_head:g} at momentum {facts.optimizer.momentum:g} diverges"


def _too_fast_backbone(facts: Facts) -> str:
    rate = facts.optimizer.lr_backbone
    if facts.is_frozen or facts.step(rate) <= _LARGEST_BACKBONE[facts.optimizer.name]:
        return ""
    return f"a backbone rate of {rate:g} leaves little of what was pretrained"


def _too_short(facts: Facts) -> str:
    way = facts.step(facts.optimizer.lr_head) * facts.steps * (0.5 if facts.optimizer.schedule == "cosine" else 1.0)
    if facts.has_solved_head or not facts.is_frozen or way >= _LEAST_WAY[facts.optimizer.name]:
        return ""
    return f"{facts.steps} steps at {facts.optimizer.lr_head:g} teach a new head on frozen features nothing"


def _overtaken(facts: Facts) -> str:
    if facts.has_solved_head or facts.is_frozen or facts.optimizer.lr_backbone <= _AHEAD * facts.optimizer.lr_head:
        return ""
    return "the backbone moves faster than a head that has learnt nothing yet"


def _without_statistics(facts: Facts) -> str:
    if facts.optimizer.name != "sgd" or facts.is_frozen or facts.values.get("batch_norm") != "frozen":
        return ""
    return "SGD diverges where batch norms keep their statistics"


RULES: tuple[Callable[[Facts], str], ...] = (
    _too_fast_head,
    _too_fast_backbone,
    _too_short,
    _overtaken,
    _without_statistics,
)


def why_hopeless(facts: Facts) -> str:
    """Return why a candidate is bound to be bad; empty if it may be good."""
    return next(filter(None, (rule(facts) for rule in RULES)), "")
