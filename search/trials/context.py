"""Where trials run: what they share, the store, the sampler, who watches."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from search.artifacts.stores import ArtifactStore
from search.runtime.study_runtime import StudyRuntime
from search.sampling.optuna_study import Sampling
from search.sampling.pruners import Curves
from search.store.connection import Engine
from search.store.history import StudyHistory
from search.trials.observer import Observer
from search.trials.time_reserve import Reserve


@dataclass(frozen=True, slots=True)
class TrialContext:
    """Where trials run: what they share, the store, the sampler, who watches.

    Attributes:
        history: what the study has behind it, kept up to date; ``curves`` is its part that pruners see.
        folder: where logs and pages go, one folder a study.
        leave: true once the worker has been asked to stop.
        artifact_store: where checkpoints go; ``key`` distinguishes those of one study from another's.
        pause: true once it shall leave when the running epoch has ended.
        reserve: what is kept back of the study's budget for its end; None keeps nothing.
        fits: whether a trial of so many seconds ends in time.
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
