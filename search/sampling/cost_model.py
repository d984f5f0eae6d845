"""The cost of a trial: operations counted before it runs, seconds predicted from trials that have ended; pure."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from statistics import median

import numpy as np

from search.records.choice import PASSES
from search.records.study import PastTrial

LEAST = 5
"""Fewest measured trials to learn seconds from; with fewer, operations are scaled."""

_ALL = 0.99
_OVERHEAD = 5.0
"""How many times as long as its arithmetic a linear probe takes, which comes first: it decodes images, and solves the
head (MobileNetV2 at 128 px: 36 to 45 s a TFLOP, where trainings take 7 to 10, their steps counted)."""
_STEP = 7e9
"""What a step costs beside its arithmetic, the optimiser's above all, in operations: 35 ms on a CPU core where these
take 5 s a TFLOP."""

_ALIKE = 1.5
"""Linear probes of networks that differ in arithmetic by less than this factor take about as long."""


@dataclass(frozen=True, slots=True)
class CostFeatures:
    """The features that a candidate's seconds are predicted from.

    Attributes:
        training_flops: floating-point operations of the whole training, validation included.
        forward_flops: of one forward pass of one input.
        trained: parameters that learn.
        frozen_share: share of the forward pass in frozen leading units, 0 to 1.
        epochs: that the trial may run.
        steps: of the optimiser, in all of them; 0 if only a layer is solved.
    """

    training_flops: float
    forward_flops: float
    trained: float
    frozen_share: float
    epochs: float
    steps: float = 0.0

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> CostFeatures | None:
        """Return what ``to_json`` wrote; None for anything else, an older version's for example."""
        names = cls.__dataclass_fields__
        needed = set(names) - {"steps"}
        return cls(**{name: float(data[name]) for name in names if name in data}) if needed <= set(data) else None

    @property
    def is_probe(self) -> bool:
        """Whether only the head learns, in a single pass: most of its seconds are not arithmetic."""
        return self.epochs <= 1 and self.frozen_share > _ALL

    def row(self) -> tuple[float, ...]:
        """Return the features on the scales on which seconds follow them linearly."""
        per_epoch = (self.training_flops + _STEP * self.steps) / max(self.epochs, 1)
        return (
            math.log(max(per_epoch, 1.0)),
            math.log(max(self.forward_flops, 1.0)),
            math.log(max(self.trained, 1.0)),
            self.frozen_share,
        )


def training_flops(
    prefix: float, suffix: float, *, train: int, val: int, epochs: int, views: int | None = None
) -> float:
    """Return the floating-point operations of a training.

    A pass through what learns costs three forward passes in training and one in validation; the frozen
    ``prefix`` only ever runs forward: in every epoch, or, if its features are cached, once for each of ``views``
    augmented views of every training sample and once for every validation sample.

    Args:
        prefix, suffix: operations of one forward pass of one sample.
        train, val: numbers of samples.
    """
    learning = epochs * suffix * (PASSES * train + val)
    frozen = prefix * (epochs * (train + val) if views is None else views * train + val)
    return learning + frozen


class SecondsModel:
    """Predicts the seconds an epoch takes, from the trials that have ended.

    Ridge regression of the logarithm of seconds on the logarithms of the candidate's arithmetic and of what
    learns. Under ``LEAST`` measured trials, seconds are taken to be proportional to the arithmetic. Linear probes,
    which take about as long as others of networks of their size, are kept apart.
    """

    def __init__(self, trials: Sequence[PastTrial]) -> None:
        known = [
            (features, trial.last_epoch[0], trial.seconds)
            for trial in trials
            if trial.last_epoch is not None
            and trial.seconds > 0
            and (features := CostFeatures.from_json(trial.cost)) is not None
        ]
        measured = [(features, seconds / epochs) for features, epochs, seconds in known]
        self.measured = len(measured)
        probes = [(features, seconds) for features, seconds in measured if features.is_probe]
        measured = [(features, seconds) for features, seconds in measured if not features.is_probe]
        self._probes = probes
        rates = [seconds / math.exp(features.row()[0]) for features, seconds in measured]
        # The slowest probe: others found their features in the cache.
        slowest = max((seconds / math.exp(features.row()[0]) for features, seconds in probes), default=_OVERHEAD)
        self._rate = median(rates) if rates else slowest / _OVERHEAD
        # Patience and pruning end most trainings early; one that ran to its end is added as a prior.
        ran = [min(epochs / features.epochs, 1.0) for features, epochs, _ in known if not features.is_probe]
        self._ran = (1 + sum(ran)) / (1 + len(ran))
        self._model = None
        if len(measured) >= LEAST:
            # Loads pandas and scipy too: only if needed.
            from sklearn.linear_model import Ridge  # noqa: PLC0415
            from sklearn.pipeline import make_pipeline  # noqa: PLC0415
            from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

            self._model = make_pipeline(StandardScaler(), Ridge(alpha=1.0))
            self._model.fit(
                [features.row() for features, _ in measured], [math.log(seconds) for _, seconds in measured]
            )
            self._range = (min(seconds for _, seconds in measured) / 10, max(seconds for _, seconds in measured) * 10)

    def seconds(self, features: CostFeatures) -> float:
        """Return the expected seconds of a trial, for as many of its epochs as trials run on average; without any
        measured one, its arithmetic."""
        row = features.row()
        if features.is_probe and self._probes:
            return self._probe_seconds(features)
        if self._model is None:
            return self._rate * math.exp(row[0]) * features.epochs * self._ran
        predicted = float(np.exp(self._model.predict([row])[0]))
        low, high = self._range  # far from all measurements, a line in logarithms would predict anything
        return min(max(predicted, low), high) * features.epochs * self._ran

    def _probe_seconds(self, features: CostFeatures) -> float:
        """Return the seconds of the slowest probe of a network that computes about as much.

        Others found their features in the cache; networks that compute more than any so far take longer in proportion.
        """
        known = min(
            (other.forward_flops for other, _ in self._probes),
            key=lambda flops: abs(math.log(max(flops, 1.0) / max(features.forward_flops, 1.0))),
        )
        alike = [seconds for other, seconds in self._probes if known / _ALIKE <= other.forward_flops <= known * _ALIKE]
        return max(alike) * max(features.forward_flops / max(known, 1.0), 1.0)
