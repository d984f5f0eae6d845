"""Options of the final model, ``search.final`` in a study file: its share of the budget, candidates retrained."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field


@dataclass(frozen=True, slots=True, kw_only=True)
class FinalOptions:
    """The end of a search, within its budget.

    Attributes:
        share: how much of the budget is reserved for it, if it takes that long: of ``timeout``, of ``gpu_seconds``, and
            of as many trainings as the study has trials. One training of the winner is always reserved.
        top: how many of the best candidates, those that validation cannot tell apart, are trained again with fresh
            seeds, so that the best mean wins; 1 leaves the choice to the search.
        soup: how many trainings of the winner on all data have their weights averaged, where their head starts solved
            and there is time, twice as many where time is left over; 1 trains it once.
        branches: how many of these trainings, or of means of some, and of the network before training, if its head
            started solved, stand side by side behind the frozen units, their outputs averaged, as far as the FLOPs at
            most double; 1 leaves one, the mean of all. So has a network that is trained from the first unit on, and a
            study that weighs or bounds costs.
        mirror: whether a linear probe that has won gives the mean of its outputs for an image and for its mirror image,
            which doubles its FLOPs; not where ``training.flip`` is off, or in a study that weighs or bounds costs.
    """

    share: Annotated[float, Field(gt=0, lt=1)] = 0.5
    top: Annotated[int, Field(ge=1)] = 3
    soup: Annotated[int, Field(ge=1)] = 4
    branches: Annotated[int, Field(ge=1, le=16)] = 4
    mirror: bool = True
    __pydantic_config__: ClassVar[dict[str, str]] = {"extra": "forbid"}
