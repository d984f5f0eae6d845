"""The context that trials run in: what they share, the store, the sampler, the observer."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from search.artifacts.stores import ArtifactStore
from search.runtime.study_runtime import StudyRuntime
from search.sampling.cost_model import CostFeatures
from search.sampling.optuna_study import Sampling
from search.sampling.pruners import Curves
from search.store.connection import Engine
from search.store.history import StudyHistory
from search.trials.observer import Observer
from search.trials.time_reserve import Reserve


@dataclass(frozen=True, slots=True)
class TrialContext:
    """The context that trials run in: what they share, the store, the sampler, the observer.

    Attributes:
        history: the study's trials so far, kept up to date; ``curves`` is the part that pruners see.
        folder: where logs and pages go, one folder per study.
        leave: whether the worker has been asked to stop.
        artifact_store: where checkpoints go; ``key`` distinguishes those of one study from another's.
        pause: whether the worker is to exit at the end of the running epoch.
        reserve: the part of the study's budget reserved for its end; None reserves nothing.
        fits: whether a trial of that many seconds ends in time.
        left_s: seconds until the study's time is up; infinity without a limit.
        costs: the computation that training each candidate takes, by fingerprint, as far as it has been counted.
    """

    runtime: StudyRuntime
    engine: Engine
    sampling: Sampling
    history: StudyHistory
    curves: Curves
    folder: Path
    observer: Observer
    leave: Callable[[], bool]
    artifact_store: ArtifactStore
    key: str
    pause: Callable[[], bool] = lambda: False
    reserve: Reserve | None = None
    fits: Callable[[float], bool] = lambda _: True
    left_s: Callable[[], float] = lambda: math.inf
    costs: dict[str, CostFeatures] = field(default_factory=dict, repr=False)
