"""One training of a confirmation: a candidate of the search with a fresh seed, on a fold or a share of the data."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence

from search.data import resampling
from search.data.resampling import Resampled
from search.data.sample import Dataset, Split
from search.records.study import Repeat, TrialRecord, TrialState
from search.runtime.versions import versions
from search.store import repeats, writing
from search.store.leases import Claim
from search.store.repeats import CONFIRM, RetrainingRequest
from search.trials import attempt as attempts
from search.trials.attempt import AttemptSettings
from search.trials.context import TrialContext
from search.trials.resampled import fresh_seed, resampled
from spaces.candidate import Candidate


def cut(dataset: Dataset, repeat: Repeat, *, study_seed: int, seed: int) -> Resampled:
    """Return the data to train ``repeat`` on.

    Folds are the same for all seeds and candidates of a study; a new share of the labels is drawn for every seed.

    Raises:
        UserError: a class is too small for that many folds.
    """
    resampled = resampling.unchanged(dataset)
    if repeat.folds > 1:
        resampled = resampling.fold(dataset, repeat.fold, repeat.folds, study_seed)
    return resampled if repeat.fraction >= 1 else resampling.share(resampled, repeat.fraction, seed)


def requests(
    study_seed: int, trials: Sequence[TrialRecord], seeds: int, folds: int = 1, fractions: Sequence[float] = (1.0,)
) -> Iterator[RetrainingRequest]:
    """Yield every training, seed by seed, so that results can be compared in pairs at any time."""
    for seed in range(1, seeds + 1):
        for fraction in fractions:
            for fold in range(1, folds + 1):
                for trial in trials:
                    key = {"trial": trial.number, "seed": seed, "fold": fold, "folds": folds, "fraction": fraction}
                    own = fresh_seed(study_seed, f"{CONFIRM} {seed}")
                    yield RetrainingRequest(key, trial.candidate, trial.words, own, is_baseline=trial.is_baseline)


def words(repeat: Repeat) -> str:
    """Return a readable name of ``repeat``: ``trial 7, seed 2, fold 1 of 5``."""
    parts = [f"trial {repeat.trial}", f"seed {repeat.seed}"]
    parts += [f"fold {repeat.fold} of {repeat.folds}"] if repeat.folds > 1 else []
    parts += [f"{repeat.fraction:.3g} of the training samples"] if repeat.fraction < 1 else []
    return ", ".join(parts)


def run(context: TrialContext, claim: Claim) -> TrialState:
    """Run the claimed training and return the state it is left in; ``WAITING`` when it has to be handed back.

    The training is the search's own: same recipe, epochs, kept features; only seed and data are fresh.

    Raises:
        TrialError: it cannot go on; the caller records why.
        LeaseLostError: another worker has taken it over; nothing more was written.
    """
    start = time.monotonic()
    whole, spec = context.runtime, context.runtime.spec
    repeat, candidate = Repeat(**claim.params), Candidate.from_json(claim.candidate)
    seed = repeats.begin(context.engine, claim, versions(), whole.dataset.fingerprint)
    part = cut(whole.dataset, repeat, study_seed=spec.search.seed, seed=seed)
    runtime = resampled(whole, part, candidate, seed)
    attempt = attempts.begin(
        context, runtime, claim, candidate, AttemptSettings(seed=seed, words=words(repeat), kind=CONFIRM)
    )
    result = attempt.fit()
    if attempt.is_handed_back(result, time.monotonic() - start):
        return TrialState.WAITING
    last = result.epochs[-1]
    best = attempts.best_epoch(result)
    value = best.metrics[spec.objective]
    writing.finish_trial(
        context.engine,
        claim,
        writing.Ended(
            state=TrialState.COMPLETE,
            value=value,
            best_epoch=best.epoch,
            evaluation=None,
            ended=f"ended after epoch {last.epoch}: {result.reason}" if result.reason else attempts.whole(last.epoch),
            seconds=time.monotonic() - start,
            extras={
                "images": len(runtime.dataset.of(Split.TRAIN)),
                "last": last.metrics[spec.objective],
                **attempts.calibration(result),
                "device": str(whole.precision.device),
                **result.facts,
            },
        ),
    )
    attempt.rolling.remove()
    context.observer.trial_ended(claim.number, TrialState.COMPLETE, value, words(repeat))
    return TrialState.COMPLETE
