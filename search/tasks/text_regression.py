"""Numbers predicted from a text or a pair of texts."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import ClassVar

from search.tasks import regression
from search.tasks._texts import AUGMENTED, Texts, TokenizerOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(regression.Options, TokenizerOptions):
    """How texts are read, and how numbers are learnt (as in the task ``regression``)."""

    def __post_init__(self) -> None:
        regression.Options.__post_init__(self)
        TokenizerOptions.__post_init__(self)


class TextRegression(Texts, regression.Regression):
    """Squared, absolute or Huber error; root mean squared error, mean absolute error, R2, over all numbers alike."""

    name = "text_regression"
    formats = ("text_numbers",)
    options = Options
    hub_task = ""
    mixes = False
    leaves_out: ClassVar[Mapping[str, str]] = {**AUGMENTED, **regression.Regression.leaves_out}
    chosen: Options = Options()


task = TextRegression()
