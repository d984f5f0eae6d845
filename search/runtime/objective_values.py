"""A candidate's costs before it is trained, and its objectives and constraints afterwards."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import torch

from search.data.sample import Split
from search.errors import TrialError
from search.records.objectives import QUANTISED, Goals
from search.records.study import EpochRecord
from search.runtime.int8_accuracy import Quantised
from search.runtime.study_runtime import StudyRuntime
from search.training import latency
from spaces.candidate import Candidate
from spaces.chains import probe
from spaces.networks.build import head_macs
from spaces.networks.space import Random

INTEGERS = "int8 quantisation"
"""The constraint broken by a trial whose network cannot be quantised although the study asks for it."""


def known(runtime: StudyRuntime, candidate: Candidate, *, whole: bool = False) -> dict[str, float]:
    """Return the costs of ``candidate`` by the names in ``KNOWN_BEFORE``; empty if none is needed.

    Parameters and FLOPs are counted on fake tensors. Only if they satisfy the constraints, or for ``whole``, is the
    network built to measure what else the study weighs: bytes of its checkpoint, its latency (``latency_lower`` and
    ``latency_upper`` are quartiles).
    """
    goals = runtime.spec.goals
    if goals.is_single and goals.latency is None:
        return {}
    costs = counted(runtime, candidate)
    fits = all(excess <= 0 for excess in goals.constraints.excesses(costs).values())
    if (fits or whole) and (goals.weighs("checkpoint_bytes") or goals.latency is not None):
        costs |= _measured(runtime, goals, candidate)
    return costs


def counted(runtime: StudyRuntime, candidate: Candidate) -> dict[str, float]:
    """Return parameters and FLOPs of ``candidate`` as ``StudyRuntime.size`` gives them, without building it."""
    own = runtime.of(candidate)
    chain = own.space.apply(candidate)
    head = own.head_of(candidate, chain, on="meta")
    macs = sum(unit.macs for unit in probe.describe(chain)) + head_macs(head, chain)
    modules = [*(unit.module for unit in chain), head]
    weights = {id(parameter): parameter.numel() for module in modules for parameter in module.parameters()}
    return {"parameters": float(sum(weights.values())), "flops": 2.0 * macs}


def _measured(runtime: StudyRuntime, goals: Goals, candidate: Candidate) -> dict[str, float]:
    network = runtime.build(candidate, 0)
    costs: dict[str, float] = {}
    if goals.weighs("checkpoint_bytes"):
        # Weights under two names would count twice.
        costs["checkpoint_bytes"] = float(
            sum(tensor.numel() * tensor.element_size() for tensor in network.original_state().values())
        )
    how = goals.latency
    if how is not None:
        inputs = next(iter(runtime.batches(Split.VAL, candidate=candidate).epoch(1)))[0]
        inputs = inputs[torch.arange(how.batch, device=inputs.device) % len(inputs)]
        took = latency.measure(network, inputs, runtime.precision, warmup=how.warmup, runs=how.runs)
        costs |= {"latency": took.median, "latency_lower": took.lower, "latency_upper": took.upper}
    return costs


def share_within(runtime: StudyRuntime, draws: int = 32) -> float:
    """Return the share of ``draws`` random candidates that satisfy the constraints on parameters and FLOPs."""
    bounds = runtime.spec.goals.constraints
    drawn = (runtime.space.sample(Random(seed)) for seed in range(draws))
    kept = [all(excess <= 0 for excess in bounds.excesses(counted(runtime, one)).values()) for one in drawn]
    return sum(kept) / draws


@dataclass(frozen=True, slots=True)
class ObjectiveValues:
    """Objectives and constraints of a trial that has ended.

    Attributes:
        objectives: value of every objective by name; empty if there is a single one, and for a pruned trial.
        constraints: excess over every constraint whose quantity is known, by its text.
    """

    objectives: Mapping[str, float] = field(default_factory=dict)
    constraints: Mapping[str, float] = field(default_factory=dict)

    @property
    def is_feasible(self) -> bool:
        return all(excess <= 0 for excess in self.constraints.values())


def of_trial(
    goals: Goals,
    costs: Mapping[str, float],
    epochs: Sequence[EpochRecord],
    best: EpochRecord,
    *,
    pruned: bool,
    quantised: Quantised | None = None,
) -> ObjectiveValues:
    """Return objectives and constraints of a trial that has ended.

    A pruned trial is judged by what was known before training: its metrics come from an unfinished training.

    Args:
        costs: the result of ``known``.
        quantised: the trial's result in int8; None if it is not an objective. Without a value the trial breaks the
            constraint ``INTEGERS`` and has no such objective.

    Raises:
        TrialError: an objective is not a finite number.
    """
    facts = dict(costs)
    if not pruned:
        facts |= {**best.metrics, "train_seconds": math.fsum(record.seconds for record in epochs)}
    lacks = quantised is not None and quantised.value is None
    if quantised is not None and quantised.value is not None:
        facts[QUANTISED] = quantised.value
    wanted = [one.name for one in goals.objectives if not (lacks and one.name == QUANTISED)]
    objectives = {name: facts[name] for name in wanted} if goals.further and not pruned else {}
    for name, value in objectives.items():
        if not math.isfinite(value):
            raise TrialError(f"{name} is {value} at the best epoch {best.epoch}", "nan")
    return ObjectiveValues(objectives, goals.constraints.excesses(facts) | ({INTEGERS: 1.0} if lacks else {}))
