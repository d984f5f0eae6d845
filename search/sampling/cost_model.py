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
_FIRST, _FURTHER = 2.2, 0.8
"""How many times as long as a training of as much work a linear probe takes: the first decodes the images too, one of a
larger network is mostly work (MobileNetV2 at 128 px, seconds for 1e12 operations of ``work``: the first probe 3.0 to
4.2, one on larger maps 0.9 to 1.4, trainings 1.1 to 1.5)."""
_STEP = 3e10
"""What a step costs beside its work, the optimiser's above all, in operations: 40 ms on a CPU core where these take
1.4 s for 1e12."""
_VALUE = 4000.0
"""What a value costs that a unit reads or writes, in operations: those that early units do on their large maps take far
longer than those of late ones (MobileNetV2 at 128 px: all units together 20 s a TFLOP, the last five 5 to 6)."""
_WORK_OF_A_PROBE = 0.3
"""The share of a linear probe's seconds that grows with the network: a four times larger one took 1.1 to 1.8 times as
long."""

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
        traffic: values that units read and write in the whole training.
    """

    training_flops: float
    forward_flops: float
    trained: float
    frozen_share: float
    epochs: float
    steps: float
    traffic: float

    def to_json(self) -> dict[str, float]:
        return asdict(self)

    @classmethod
    def from_json(cls, data: Mapping[str, float]) -> CostFeatures | None:
        """Return what ``to_json`` wrote; None for anything else, an older version's for example."""
        names = cls.__dataclass_fields__
        return cls(**{name: float(data[name]) for name in names}) if set(names) <= set(data) else None

    @property
    def is_probe(self) -> bool:
        """Whether only the head learns, in a single pass: most of its seconds are not arithmetic."""
        return self.epochs <= 1 and self.frozen_share > _ALL

    @property
    def work(self) -> float:
        """What an epoch takes, in operations: arithmetic, values moved, steps."""
        return max((self.training_flops + _VALUE * self.traffic + _STEP * self.steps) / max(self.epochs, 1), 1.0)

    def row(self) -> tuple[float, ...]:
        """Return the features on the scales on which seconds follow them linearly."""
        return (
            math.log(self.work),
            math.log(max(self.forward_flops, 1.0)),
            math.log(max(self.trained, 1.0)),
            self.frozen_share,
        )


def in_training(prefix: float, suffix: float, *, train: int, val: int, epochs: int, views: int | None = None) -> float:
    """Return how much a training takes in all of what one forward pass of a sample takes, operations for example.

    A pass through what learns costs three forward passes in training and one in validation; the frozen
    ``prefix`` only ever runs forward: in every epoch, or, if its features are cached, once for each of ``views``
    augmented views of every training sample and once for every validation sample.

    Args:
        prefix, suffix: of one forward pass of one sample, in frozen leading units and in the rest.
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
        rates = [seconds / features.work for features, seconds in measured]
        self._rate = median(rates) if rates else self._rate_of_probes()
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
        if features.is_probe and self._probes:
            return self._probe_seconds(features)
        if self._model is None:
            return self._rate * features.work * features.epochs * self._ran
        predicted = float(np.exp(self._model.predict([features.row()])[0]))
        low, high = self._range  # far from all measurements, a line in logarithms would predict anything
        return min(max(predicted, low), high) * features.epochs * self._ran

    def _rate_of_probes(self) -> float:
        """Return the expected seconds of a training an operation, from the linear probe of the largest network."""
        if not self._probes:
            return 1.0
        first, _ = self._probes[0]
        largest, seconds = max(self._probes, key=lambda probe: probe[0].work)
        return seconds / largest.work / (_FIRST if largest.work <= first.work else _FURTHER)

    def _probe_seconds(self, features: CostFeatures) -> float:
        """Return the seconds of the slowest probe of a network that computes about as much.

        Others found their features in the cache; networks that compute more than any so far take longer.
        """
        known = min(
            (other.forward_flops for other, _ in self._probes),
            key=lambda flops: abs(math.log(max(flops, 1.0) / max(features.forward_flops, 1.0))),
        )
        alike = [seconds for other, seconds in self._probes if known / _ALIKE <= other.forward_flops <= known * _ALIKE]
        growth = max(features.forward_flops / max(known, 1.0), 1.0)
        return max(alike) * (1 + _WORK_OF_A_PROBE * (growth - 1))
