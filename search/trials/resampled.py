"""Fresh seeds and newly split data, for confirmations and refits."""

from __future__ import annotations

import hashlib
from dataclasses import replace

from search.data.cache import Pixels
from search.data.resampling import Resampled, pool_of
from search.data.sample import Split
from search.runtime.study_runtime import StudyRuntime
from spaces.candidate import Candidate


def fresh_seed(study_seed: int, purpose: str) -> int:
    """Return a 31-bit seed that no trial of the study has; ``purpose`` is ``confirm 3`` or the like."""
    return int.from_bytes(hashlib.sha256(f"{study_seed}:{purpose}".encode()).digest()[:4]) >> 1


def resampled(runtime: StudyRuntime, part: Resampled, candidate: Candidate, views_seed: int) -> StudyRuntime:
    """Return ``runtime`` with its data split as in ``part``; images are not decoded again for every split.

    Args:
        views_seed: of the augmented views that trainings share; the search's trials have the study's seed.
    """
    spec = replace(runtime.spec, search=replace(runtime.spec.search, seed=views_seed))
    own = replace(runtime, spec=spec)
    if part.dataset is runtime.dataset:
        return own
    own = replace(own, dataset=part.dataset, decoded={})
    size = candidate.structure.input_size
    for split, places in ((Split.TRAIN, part.train), (Split.VAL, part.val or ())):
        kept = _decoded(runtime, split if part.val else Split.TRAIN, candidate, pooled=part.pooled)
        if isinstance(kept, Pixels):  # other kinds are prepared again for every split
            own.decoded[split, size] = kept.of(places)
    return own


def _decoded(runtime: StudyRuntime, split: Split, candidate: Candidate, *, pooled: bool) -> object:
    """Return the decoded images from which every split takes its samples, as ``split`` needs them."""
    if pooled:
        dataset = runtime.dataset
        pool = tuple(replace(sample, split=split) for sample in pool_of(dataset))
        named = replace(dataset, samples=pool, fingerprint=f"{dataset.fingerprint}-pool")
        runtime = replace(runtime, dataset=named, decoded={})
    runtime.batches(split, candidate=candidate)
    return runtime.decoded.get((split, candidate.structure.input_size))
