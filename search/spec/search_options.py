"""Options of a study file that no plug-in owns: search, pruner, budget."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal

from pydantic import Field

from search.data.split_options import LARGEST_SEED
from search.records.objectives import Pruning
from search.records.study import OPEN, Json
from search.sampling import pruners
from search.sampling.optuna_study import SamplerOptions
from search.spec.durations import Duration
from search.spec.final_options import FinalOptions

_FORBID: dict[str, str] = {"extra": "forbid"}


Pruner = Annotated[pruners.Median | pruners.Halving | pruners.Hyperband | pruners.Off, Field(discriminator="name")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may cost, over all its workers and runs.

    Attributes:
        gpu_seconds: measured seconds of all its trials, failed ones too, on whatever device they ran; also
            ``2h``, ``30m``. No trial starts once they are used up; running ones are finished.
    """

    gpu_seconds: Duration | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


TRIALS = 30
"""Trials of a study with neither a number of trials nor a time limit."""
WARM_STARTS = 5
"""Number of candidates of earlier studies that ``warm_start: true`` tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How long a study searches, and how.

    Attributes:
        portfolio: ``on`` begins with a dozen whole candidates that are good on most data (``ftsearch plan`` lists
            them), draws the next ones near the best so far and from priors, and leaves out what is bound to be bad;
            the sampler takes over as results come. ``off`` begins with the plain recipe and draws from the ranges.
        trials: how many trials the study has in the end, the baseline included. ``auto`` is 30, and as many as there
            is time for where ``timeout`` or ``budget`` limits it.
        stop: ``auto`` ends the search before its trials and its time are used up once no further candidate promises
            more than validation can tell: Optuna's regret bound is below the standard error of the best value.
        timeout: seconds that a run may take, the final model included; also ``2h``, ``30m``. A trial that would
            leave no time for it is handed back to the queue at the end of its epoch.
        budget: stops the study by its cost, whichever comes first.
        final: the winner is chosen by fresh trainings of the best few, trained on training and validation data
            together, and exported; ``off`` only searches.
        warm_start: how many of the best candidates of other studies in the same store, of the same task and
            backbone, are tried right after the first candidate; ``true`` means 5. Or a list of candidates' JSON
            files, as ``ftsearch suggest`` writes them; what this study's space does not hold is passed over.
        parallel_heads: trials that freeze the whole backbone and that one worker trains at once, with one forward
            pass of the backbone for all. Such a trial claims that many, and the others differ from it in head
            and recipe only; 1 trains every trial alone.
        pruning: ``pareto_safe`` prunes no trial that is still on the Pareto front by what is known so far.
        seed: of the whole study; the same seed gives the same candidates and metrics on one CPU worker.
    """

    portfolio: Literal["on", "off"] = "on"
    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    pruner: Pruner = field(default_factory=pruners.Median)
    pruning: Pruning = "primary"
    trials: Annotated[int, Field(ge=1, lt=OPEN)] | Literal["auto"] = "auto"
    stop: Literal["off", "auto"] = "off"
    timeout: Duration | None = None
    budget: Budget | None = None
    final: FinalOptions | Literal["off"] = field(default_factory=FinalOptions)
    warm_start: bool | Annotated[int, Field(ge=0)] | tuple[str | dict[str, Any], ...] = False
    parallel_heads: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0, le=LARGEST_SEED)] = 0
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    @property
    def warm_starts(self) -> int:
        if isinstance(self.warm_start, tuple):
            return len(self.warm_start)
        return WARM_STARTS if self.warm_start is True else int(self.warm_start)

    @property
    def target(self) -> int:
        """The study's final number of trials; ``OPEN`` if only its time or budget ends it."""
        if self.trials != "auto":
            return self.trials
        return OPEN if self.timeout or self.gpu_seconds else TRIALS

    @property
    def gpu_seconds(self) -> float | None:
        """Seconds that its trials may take on their devices together; None without such a budget."""
        return self.budget.gpu_seconds if self.budget else None

    @property
    def candidates(self) -> tuple[Json, ...]:
        """The given candidates, as plain data."""
        return self.warm_start if isinstance(self.warm_start, tuple) else ()
