"""A refit: the chosen candidate trained for use with full augmentation, scored once on the test images."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import replace

from search import few_labels
from search.data import resampling
from search.data.sample import Split
from search.laboratory import Laboratory, versions
from search.records import Evaluation, Json, TrialState, Verdict
from search.retraining import Watch, resampled, rolling
from search.store import repeats, writing
from search.store.leases import Claim
from search.training import averaging
from search.training import checkpoint as files
from search.training.epoch import validate
from search.training.fit import Course, fit
from search.training.memory import MicroBatches
from search.trial import Bench
from spaces.build import Network
from spaces.candidate import Candidate

TRAIN, JOINED = "train", "train+val"
DATA = (JOINED, TRAIN)
"""What a refit may be trained on."""


def run(bench: Bench, claim: Claim) -> TrialState:
    """Run the claimed refit and return the state it is left in; ``WAITING`` when it has to be handed back.

    Nothing is cached: every epoch augments every image anew, through all units. On ``train`` the best epoch by
    validation is kept; on ``train+val`` nothing is left to choose by, and the last epoch is. The test images are looked
    at when all that is over.

    Raises:
        TrialError: it cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    start = time.monotonic()
    whole, key, candidate = bench.laboratory, claim.params, Candidate.from_json(claim.candidate)
    seed = repeats.begin(bench.engine, claim, versions(), whole.dataset.fingerprint)
    joined = key["data"] == JOINED
    found = resampling.joined(whole.dataset) if joined else resampling.unchanged(whole.dataset)
    laboratory = resampled(whole, found, candidate, seed)
    network = laboratory.build(candidate, seed)
    writing.record_size(bench.engine, claim, laboratory.size(network))
    bench.observer.trial_started(claim.number, f"refit on {key['data']}", key["epochs"])
    watch = Watch(bench, claim, "" if joined else whole.spec.objective)
    kept = rolling(bench, claim, repeats.REFIT)
    course = laboratory.course(candidate, seed, watch.on_epoch, bench.leave, kept)
    course = few_labels.adapted(laboratory, course, candidate, network)
    outcome = fit(network, _planned(course, network, key))
    if outcome.verdict is Verdict.PAUSE:
        writing.add_seconds(bench.engine, claim, time.monotonic() - start)
        return TrialState.WAITING
    weights = laboratory.checkpoint(candidate, network, outcome)
    test, evaluation = _scored(whole, candidate, network, tta=key["tta"], most=outcome.micro_batch)
    images = len(laboratory.dataset.of(Split.TRAIN))
    facts = {**weights.facts, "test": test, "refit": {**key, "images": images}}
    name = files.put(bench.shelf, f"refit-{claim.number:05d}", replace(weights, facts=facts))
    noun = laboratory.task.noun
    scored = f"scored on the test {noun}" if test else f"there are no test {noun}, so it was scored on nothing"
    ended = f"ran {len(outcome.epochs)} epochs on {images} {noun}; {scored}"
    repeats.finish_refit(
        bench.engine,
        claim,
        test=test,
        evaluation=evaluation,
        checkpoint=name,
        ended=ended,
        seconds=time.monotonic() - start,
        extras={"images": images, "best_epoch": outcome.best_epoch, "device": str(whole.precision.device)},
    )
    kept.remove()
    bench.observer.trial_ended(claim.number, TrialState.COMPLETE, test.get(whole.spec.objective), ended)
    return TrialState.COMPLETE


def _planned(course: Course, network: Network, key: Mapping[str, Json]) -> Course:
    """Return ``course`` as the refit's options say."""
    epochs = course.epochs if course.is_solved else key["epochs"]
    course = replace(course, epochs=epochs, validates=key["data"] != JOINED)
    if not key["ema"]:
        return course
    average = averaging.moving_average(network, course.epochs * course.steps_per_epoch)
    return replace(course, average=average, optimize=averaging.keeping_up(course.optimize, average))


def _scored(
    laboratory: Laboratory, candidate: Candidate, network: Network, *, tta: bool, most: int | None
) -> tuple[dict[str, float], Evaluation | None]:
    """Return metrics and details on the test images; nothing when there are none."""
    if not laboratory.dataset.of(Split.TEST):
        return {}, None
    judged = averaging.ViewsAveraged(network, flip=laboratory.spec.training.flip) if tta else network
    meter = laboratory.task.meter(laboratory.dataset.classes, laboratory.precision.device)
    batches = laboratory.batches(Split.TEST, candidate=candidate)
    validate(judged, batches.epoch(1), meter, laboratory.precision, MicroBatches(most))
    return dict(meter.compute()), meter.evaluation().named(laboratory.names(Split.TEST))
