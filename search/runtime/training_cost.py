"""The computation needed to train a candidate, known before anything is built."""

from __future__ import annotations

import math
from functools import partial

from search.data.sample import Split
from search.runtime.study_runtime import StudyRuntime
from search.sampling.cost_model import CostFeatures, in_training
from spaces.candidate import Candidate
from spaces.chains import probe
from spaces.chains.chain import Trainable
from spaces.networks.build import head_macs


def cost_of(runtime: StudyRuntime, candidate: Candidate) -> CostFeatures:
    """Return what training ``candidate`` costs, counted on fake tensors; nothing is built."""
    runtime = runtime.of(candidate)
    chain = runtime.space.apply(candidate)
    head = runtime.head_of(candidate, chain, on="meta")
    facts = probe.describe(chain)
    frozen = next((index for index, unit in enumerate(chain) if not unit.is_frozen), len(chain))
    prefix = 2 * sum(unit.macs for unit in facts[:frozen])
    suffix = 2 * (sum(unit.macs for unit in facts[frozen:]) + head_macs(head, chain))
    trained = sum(parameter.numel() for parameter in head.parameters()) + sum(
        fact.parameters for unit, fact in zip(chain, facts, strict=True) if unit.trainable is Trainable.ALL
    )
    epochs = runtime.epochs(candidate)
    train, val = (len(runtime.dataset.of(split)) for split in (Split.TRAIN, Split.VAL))
    views = runtime.views(epochs) if runtime.spec.training.prefix_cache == "auto" else None
    count = partial(in_training, train=train, val=val, epochs=epochs, views=views)
    moved = [math.prod(unit.in_shape) + math.prod(unit.out_shape) for unit in facts]
    steps = 0 if runtime.is_linear_probe(candidate) else steps_of(runtime, candidate)
    return CostFeatures(
        training_flops=count(prefix, suffix),
        forward_flops=prefix + suffix,
        trained=trained,
        frozen_share=prefix / max(prefix + suffix, 1),
        epochs=epochs,
        steps=steps,
        traffic=count(sum(moved[:frozen]), sum(moved[frozen:])),
    )


def steps_of(runtime: StudyRuntime, candidate: Candidate) -> int:
    """Return how many steps ``candidate`` is trained for, unless it ends early."""
    own = runtime.of(candidate)
    size = own.space.values(candidate)["batch_size"] or runtime.spec.training.batch_size
    return math.ceil(len(runtime.dataset.of(Split.TRAIN)) / size) * own.epochs(candidate)
