"""The number of tokens of a text that the network receives."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import ClassVar

from spaces.candidate import Json
from spaces.chains.chain import Chain
from spaces.decisions._base import Decision, NotApplicable, Scalar, Stage, Suggest
from spaces.decisions._checks import check_choices, check_range, read_number
from spaces.decisions._prior import mostly


@dataclass(frozen=True, slots=True, kw_only=True)
class Range:
    """Token limits that may be tried; those of at least the study's ``max_length`` stand for it."""

    tokens: tuple[int, ...] = (32, 64, 128)
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}

    def __post_init__(self) -> None:
        check_choices("length.tokens", self.tokens)
        check_range("length.tokens", min(self.tokens), None, least=8)


class Length(Decision[int]):
    """Longer texts are truncated. Shorter ones cost only their own tokens: batches are padded to their longest text.

    0 stands for the study's own length.
    """

    name, stage, options = "length", Stage.CUT, Range
    tasks = ("text", "tokens", "text_multilabel", "text_regression")

    def choices(self, chain: Chain, within: Range) -> dict[int, int] | NotApplicable:
        """Return the value of every limit that may be chosen."""
        if chain.kind != "tokens":
            return NotApplicable("the input is not text")
        own = chain.input_size[1]
        values = {min(tokens, own): tokens if tokens < own else 0 for tokens in sorted(within.tokens)}
        if not any(values.values()):
            return NotApplicable(f"no length below the study's own, {own} tokens, is named")
        return values

    def baseline(self, chain: Chain) -> int:
        return 0

    def extremes(self, choices: dict[int, int], chain: Chain) -> tuple[int, int]:
        return choices[min(choices)], choices[max(choices)]

    def sample(self, suggest: Suggest, choices: dict[int, int]) -> int:
        return choices[int(suggest.choice(self.name, tuple(choices), prior=mostly(max(choices), 0.7)))]

    def params(self, value: int, choices: dict[int, int]) -> Mapping[str, Scalar] | None:
        return next(({self.name: tokens} for tokens, kept in choices.items() if kept == value), None)

    def keeps_function(self, value: int, chain: Chain) -> bool:
        return value in (0, chain.input_size[1])

    def settle(self, value: int, chain: Chain) -> int:
        return value if chain.kind == "tokens" and value < chain.input_size[1] else 0

    def apply(self, chain: Chain, value: int) -> Chain:
        if value in (0, chain.input_size[1]) or chain.kind != "tokens":
            return chain
        return replace(chain, input_size=(1, value))

    def words(self, value: int, chain: Chain) -> str:
        return f"{value} tokens at most" if value else ""

    def dump(self, value: int) -> Json:
        return value

    def parse(self, data: Json) -> int:
        return int(read_number(self.name, data, whole=True))


decision = Length()
