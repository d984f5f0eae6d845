"""Training on the outputs of a network's frozen units, computed once for each view of a sample."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any

from torch import nn

from search.data.loader import Loader
from search.data.sample import Split
from search.records.study import Json
from search.training.feature_store import FeatureStore
from search.training.features import Account, FrozenLoader, Prefix, merged
from search.training.fit import EpochBatches, TrainingPlan
from search.training.precision import Precision
from spaces.networks.build import Network, as_network


@dataclass(frozen=True, slots=True)
class FrozenUnits:
    """How the frozen units of a study's networks are run, and where their outputs are kept.

    Attributes:
        data: fingerprint of the data set; ``facts`` identify how it is viewed; plain data.
        store: None keeps nothing.
    """

    data: str
    facts: Sequence[Json]
    store: FeatureStore | None
    precision: Precision

    def batches(self, samples: Loader, split: Split, prefix: Prefix, why: str = "") -> FrozenLoader:
        """Return the outputs of ``prefix`` for ``samples``; ``why`` is the reason if they are not kept."""
        facts = [*self.facts, split, self.precision.device.type, str(self.precision.dtype)]
        account = Account(len(prefix), samples.views.count if samples.views else 1, why=why)
        account.source = "recomputed" if why else "cached"
        return FrozenLoader(
            batches=samples, prefix=prefix, data=self.data, facts=facts, store=self.store, account=account
        )

    def plan(self, plan: TrainingPlan, network: Network, train: Loader, val: Loader, why: str = "") -> TrainingPlan:
        """Return ``plan`` with outputs of the frozen units of ``network`` for ``train`` and ``val`` as batches."""
        prefix = Prefix(network, self.precision)
        behind = [
            self.batches(samples, split, prefix, why) for split, samples in ((Split.TRAIN, train), (Split.VAL, val))
        ]
        accounts = [batches.account for batches in behind]
        return replace(
            plan,
            train=behind[0],
            val=behind[1],
            plain=plan.plain and partial(self._behind, plan.plain, prefix, why),
            forward=_suffix,
            facts=lambda: merged(accounts),
        )

    def _behind(self, samples: Callable[[], EpochBatches], prefix: Prefix, why: str) -> EpochBatches:
        given = samples()
        return self.batches(given, Split.TRAIN, prefix, why) if isinstance(given, Loader) else given


def _suffix(module: nn.Module, inputs: Any) -> Any:
    return as_network(module).suffix(inputs)
