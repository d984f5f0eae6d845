"""A refit: the chosen candidate trained for use, with full augmentation, and scored once on the test images."""

from __future__ import annotations

import math
import time
from collections.abc import Mapping
from dataclasses import replace

from torch import nn

from search.data import resampling
from search.data.sample import Split
from search.records.study import EpochRecord, Evaluation, Json, TrialState, Verdict
from search.runtime.study_runtime import StudyRuntime
from search.runtime.versions import versions
from search.store import repeats
from search.store.leases import Claim
from search.training import averaging
from search.training.fit import TrainingPlan
from search.trials import attempt as attempts
from search.trials import soup, start_branch
from search.trials.attempt import Attempt, AttemptSettings
from search.trials.context import TrialContext
from search.trials.keep_best import keep
from search.trials.resampled import resampled
from spaces.candidate import Candidate
from spaces.networks import branches
from spaces.networks.inference import mirror

TRAIN, JOINED = "train", "train+val"
DATA = (JOINED, TRAIN)
"""Splits that a refit may be trained on."""


def run(context: TrialContext, claim: Claim, kind: str = repeats.REFIT) -> TrialState:
    """Run the claimed refit and return the state it is left in; ``WAITING`` when it has to be handed back.

    Nothing is cached: every epoch augments every image afresh and runs all units. On ``train`` the best epoch by
    validation is kept; on ``train+val``, without anything to choose by, the last one. The test images are scored at the
    very end. The final training of a search is done like its trials, with the outputs of frozen units kept, and does
    not touch the test images.

    Raises:
        TrialError: it cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    began = time.monotonic()
    whole, key, candidate = context.runtime, claim.params, Candidate.from_json(claim.candidate)
    seed = repeats.begin(context.engine, claim, versions(), whole.dataset.fingerprint)
    joined = key["data"] == JOINED
    data = resampling.joined(whole.dataset) if joined else resampling.unchanged(whole.dataset)
    is_final = kind == repeats.FINAL
    # The views of the search's trials, whose features are kept; what is trained on them anew draws its own.
    runtime = resampled(whole, data, candidate, whole.spec.search.seed if is_final else seed)
    setting = AttemptSettings(
        seed=seed,
        words=f"trained on {key['data']}",
        kind=kind,
        epochs=key["epochs"] * key.get("soup", 1),
        validates=not joined,
        keeps_prefix=is_final,
    )

    def begin(setting: AttemptSettings) -> Attempt:
        attempt = attempts.begin(context, runtime, claim, candidate, setting)
        return replace(attempt, plan=_planned(attempt.plan, key, setting.member))

    done = soup.trainings(begin, setting, key.get("soup", 1), key.get("seconds") or math.inf)
    attempt, result = done[-1]
    if attempt.is_handed_back(result, time.monotonic() - began):
        return TrialState.WAITING
    network = attempt.network
    members = sorted((one for _, one in done), key=lambda one: one.epochs[-1].train_loss)
    wanted = branches.count_for(network, key.get("branches", 1))
    each = [one.weights for one in members]
    start = start_branch.start_of(runtime, candidate, network, attempt.plan) if wanted > 1 else None
    learnt = soup.side_by_side(runtime, candidate, network, each, attempt.plan, wanted - (start is not None))
    count = len(done) if len(learnt) > 1 or learnt[0] is not each[0] else 1
    found = start_branch.beside_start(runtime, candidate, network, learnt, start, attempt.plan) if start else learnt
    result = replace(members[0], weights=found[0])
    weights = runtime.checkpoint(candidate, network, result)
    is_mirrored = _is_mirrored(attempt, key)
    if len(found) > 1:
        weights = replace(weights, tensors=branches.merged(network, found))
    elif is_mirrored:
        weights = replace(weights, tensors={**weights.tensors, **mirror()})
    test: dict[str, float] = {}
    views: dict[str, float] = {}
    evaluation = None
    if not is_final:
        test, evaluation = _scored(whole, candidate, network, result.micro_batch)
    if key["tta"]:
        averaged = averaging.ViewsAveraged(network, flip=whole.spec.training.flip)
        views, _ = _scored(whole, candidate, averaged, result.micro_batch)
    images = len(runtime.dataset.of(Split.TRAIN))
    facts = {**weights.facts, "test": test, "views": views, "refit": {**key, "images": images}}
    name = keep(context, f"{kind}-{claim.number:05d}", replace(weights, facts=facts))
    noun = runtime.task.noun
    untested = f"no {noun} are left to score it on" if is_final else f"there are no test {noun} to score it on"
    scored = f"scored on the test {noun}" if test else untested
    early = f" ({result.reason})" if result.reason else ""
    beside = ", with the network before training beside it" if len(found) > len(learnt) else ""
    both = "; it gives the mean of its outputs for an image and for its mirror image" if is_mirrored else ""
    ended = (
        f"ran {len(result.epochs)} epochs{early}{_times(count, len(learnt))} on {images} {noun}{beside}{both}; {scored}"
    )
    repeats.finish_refit(
        context.engine,
        claim,
        test=test,
        evaluation=evaluation,
        checkpoint=name,
        ended=ended,
        seconds=time.monotonic() - began,
        extras={
            "views": views,
            "images": images,
            "trainings": count,
            "branches": len(found),
            "start": len(found) > len(learnt),
            "mirrored": is_mirrored,
            "flops": (1 + is_mirrored) * branches.flops(network, len(found)),
            "best_epoch": result.best_epoch,
            "device": str(whole.precision.device),
        },
    )
    for attempt, _ in done:
        attempt.rolling.remove()
    context.observer.trial_ended(claim.number, TrialState.COMPLETE, test.get(whole.spec.objective), ended)
    return TrialState.COMPLETE


def _times(trainings: int, branches: int) -> str:
    """Return what became of several trainings in words; empty for one."""
    how = "side by side" if branches == trainings else f"in {branches} branches"
    how = f"{how} behind the frozen units" if branches > 1 else "their weights averaged"
    return f" in each of {trainings} trainings, {how}," if trainings > 1 else ""


def _is_mirrored(attempt: Attempt, key: Mapping[str, Json]) -> bool:
    """Return whether the model gives the mean of its outputs for an image and for its mirror image: linear probes do.

    MobileNetV2 at 128 px, seven sets of 200 to 420 images, mean test accuracy of probes 79.6 without and 80.3 with it
    on larger maps, 75.2 and 76.4 on the network's own. Where more has learnt, it has seen mirror images: it gained 0.2,
    for twice the operations.
    """
    runtime = attempt.runtime
    may = bool(key.get("mirror")) and runtime.task.mirrors and runtime.spec.training.flip
    return may and attempt.plan.is_solved


def _planned(plan: TrainingPlan, key: Mapping[str, Json], member: int = 0) -> TrainingPlan:
    """Return ``plan`` with the refit's options; the epochs of a soup's members are recorded in sequence."""
    epochs = plan.epochs if plan.is_solved else key["epochs"]

    def on_epoch(record: EpochRecord) -> Verdict:
        return plan.on_epoch(replace(record, epoch=member * epochs + record.epoch))

    return replace(
        plan,
        epochs=epochs,
        patience=math.ceil(plan.patience * epochs / plan.epochs),
        validates=key["data"] != JOINED,
        keeps_end=member + 1 < key.get("soup", 1),
        on_epoch=on_epoch,
        averages=plan.averages or key["ema"],
    )


def _scored(
    runtime: StudyRuntime, candidate: Candidate, judged: nn.Module, most: int | None
) -> tuple[dict[str, float], Evaluation | None]:
    """Return metrics and details of ``judged`` on the test images; empty if there are none."""
    if not runtime.dataset.of(Split.TEST):
        return {}, None
    evaluator = runtime.evaluated(judged, runtime.batches(Split.TEST, candidate=candidate), most)
    return dict(evaluator.compute()), evaluator.evaluation().named(runtime.inputs(Split.TEST))
