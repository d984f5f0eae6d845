"""What confirmations and refits have in common: seeds, data cut anew, epochs that go to the store, resuming."""

from __future__ import annotations

import hashlib
import math
from dataclasses import dataclass, replace

from search.artifacts.stores import resuming
from search.data.cache import Pixels
from search.data.resampling import Resampled, pool_of
from search.data.sample import Split
from search.errors import TrialError
from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import StudyRuntime
from search.store import writing
from search.store.leases import Claim
from search.training import checkpoint as files
from search.trials.context import TrialContext
from spaces.candidate import Candidate


def fresh_seed(study_seed: int, purpose: str) -> int:
    """Return a seed of 31 bits that no trial of the study has; ``purpose`` is ``confirm 3`` or the like."""
    return int.from_bytes(hashlib.sha256(f"{study_seed}:{purpose}".encode()).digest()[:4]) >> 1


@dataclass(slots=True)
class Watch:
    """Takes every epoch to the store; nothing is pruned.

    Attributes:
        objective: must be a number after every epoch; empty where nothing is validated.
    """

    context: TrialContext
    claim: Claim
    objective: str

    def on_epoch(self, record: EpochRecord) -> Verdict:
        context = self.context
        writing.record_epochs(context.engine, self.claim, (record,))
        context.observer.epoch_done(self.claim.number, record)
        if self.objective and not math.isfinite(record.metrics[self.objective]):
            raise TrialError(f"{self.objective} is {record.metrics[self.objective]} after epoch {record.epoch}", "nan")
        return Verdict.PAUSE if context.leave() or context.pause() else Verdict.CONTINUE


def rolling(context: TrialContext, claim: Claim, kind: str) -> files.Rolling:
    """Return where the checkpoints for resuming lie: beside those of the study's trials, under names of their own."""
    return files.Rolling(
        context.artifact_store,
        f"{resuming(context.key)}{kind}-{claim.number:05d}/",
        claim.resume,
        lambda names: writing.record_resume(context.engine, claim, names),
    )


def resampled(runtime: StudyRuntime, found: Resampled, candidate: Candidate, seed: int) -> StudyRuntime:
    """Return ``runtime`` with the data cut as ``found``; its images are not decoded again for every cut.

    Views of images that are shared by a study's trials are drawn from ``seed`` here: a fresh one shall be fresh in all.
    """
    spec = replace(runtime.spec, search=replace(runtime.spec.search, seed=seed))
    own = replace(runtime, spec=spec)
    if found.dataset is runtime.dataset:
        return own
    own = replace(own, dataset=found.dataset, decoded={})
    size = candidate.structure.input_size
    for split, places in ((Split.TRAIN, found.train), (Split.VAL, found.val or ())):
        kept = _decoded(runtime, split if found.val else Split.TRAIN, candidate, pooled=found.pooled)
        if isinstance(kept, Pixels):  # other kinds are prepared for every cut anew
            own.decoded[split, size] = kept.of(places)
    return own


def _decoded(runtime: StudyRuntime, split: Split, candidate: Candidate, *, pooled: bool) -> object:
    """Return what a cut takes its own samples from, decoded as ``split`` needs them."""
    if pooled:
        dataset = runtime.dataset
        pool = tuple(replace(sample, split=split) for sample in pool_of(dataset))
        named = replace(dataset, samples=pool, fingerprint=f"{dataset.fingerprint}-pool")
        runtime = replace(runtime, dataset=named, decoded={})
    runtime.batches(split, candidate=candidate)
    return runtime.decoded.get((split, candidate.structure.input_size))
