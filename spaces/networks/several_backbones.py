"""The spaces of several backbones as one: the backbone is a decision, with the others below it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

from spaces.candidate import Candidate
from spaces.chains.chain import Chain
from spaces.decisions._base import Scalar, Suggest
from spaces.decisions._prior import Prior
from spaces.errors import CandidateError
from spaces.networks.space import Space

PARAMETER = "backbone"
"""Name of the parameter that chooses the backbone."""


class Below:
    """Draws the values of one backbone's decisions: its name is part of every parameter's name.

    The choices of a parameter differ between backbones (units to freeze, stages to edit), but a study has to offer the
    same choices under the same name.
    """

    def __init__(self, suggest: Suggest, backbone: str) -> None:
        self._suggest, self._backbone = suggest, backbone

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        return self._suggest.integer(below(name, self._backbone), low, high, step=step, log=log, prior=prior)

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        return self._suggest.real(below(name, self._backbone), low, high, log=log, prior=prior)

    def choice(self, name: str, choices: Sequence[Scalar], *, prior: Prior | None = None) -> Any:
        return self._suggest.choice(below(name, self._backbone), choices, prior=prior)


class Several(Space):
    """The spaces of ``names``, each opened when one of its candidates is first asked for.

    Without a candidate, the first backbone's is meant (``chain``, ``choices``, ``baseline``).
    """

    def __init__(self, names: Sequence[str], open_one: Callable[[str], Space]) -> None:
        """Open the space of the first of ``names``; ``open_one`` gives the space of a backbone, the same each time."""
        self.names = tuple(names)
        self._open = open_one
        first = open_one(self.names[0])
        self.pretrained, self.chain, self.decisions = first.pretrained, first.chain, first.decisions
        self.choices, self.dropped = first.choices, first.dropped

    def sample(self, suggest: Suggest) -> Candidate:
        name = suggest.choice(PARAMETER, self.names)
        return self._open(name).sample(Below(suggest, name))

    def baseline(self) -> Candidate:
        return self._open(self.names[0]).baseline()

    def extremes(self) -> tuple[Candidate, Candidate]:
        """Return the smallest candidate of the smallest backbone, by parameters, and the largest of the largest."""
        spaces = sorted((self._open(name) for name in self.names), key=_parameters)
        return spaces[0].extremes()[0], spaces[-1].extremes()[1]

    def parameters(self) -> dict[str, str]:
        texts = {PARAMETER: ", ".join(self.names)}
        for name in self.names:
            texts |= {below(parameter, name): text for parameter, text in self._open(name).parameters().items()}
        return texts

    def params(self, candidate: Candidate) -> dict[str, Scalar] | None:
        name = candidate.structure.backbone
        if name not in self.names:
            return None
        inner = self._open(name).params(candidate)
        if inner is None:
            return None
        return {PARAMETER: name} | {below(parameter, name): value for parameter, value in inner.items()}

    def values(self, candidate: Candidate) -> dict[str, Any]:
        return self.member_of(candidate).values(candidate)

    def apply(self, candidate: Candidate) -> Chain:
        return self.member_of(candidate).apply(candidate)

    def words(self, candidate: Candidate) -> str:
        return self.member_of(candidate).words(candidate)

    def check(self, candidate: Candidate) -> None:
        self.member_of(candidate).check(candidate)

    @property
    def members(self) -> Sequence[Space]:
        return [self._open(name) for name in self.names]

    def member_of(self, candidate: Candidate) -> Space:
        name = candidate.structure.backbone
        if name not in self.names:
            raise CandidateError(f"the candidate is for {name}, this study has {', '.join(self.names)}")
        return self._open(name)


def below(parameter: str, backbone: str) -> str:
    """Return the name of ``parameter`` below the choice of ``backbone``: ``freeze@torchvision:resnet18``."""
    return f"{parameter}@{backbone}"


def decision_of(parameter: str) -> str:
    """Return the name of the decision that ``parameter`` belongs to, for any backbone."""
    return parameter.partition("@")[0].partition(".")[0]


def opening(space: Space, number: int) -> Mapping[str, Scalar]:
    """Return the values fixed for trial ``number``: at first each backbone is tried once, in the given order."""
    names = space.names if isinstance(space, Several) else ()
    return {PARAMETER: names[number]} if 0 < number < len(names) else {}


def _parameters(space: Space) -> int:
    return sum(parameter.numel() for unit in space.chain for parameter in unit.module.parameters())
