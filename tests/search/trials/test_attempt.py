from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.errors import TrialError
from search.records.study import EpochRecord, Verdict
from search.store import leases, memory_fits, reading
from search.store.leases import Claim
from search.training import out_of_memory
from search.trials import attempt as attempts
from search.trials import trial
from search.trials.attempt import Attempt, AttemptSettings
from search.trials.context import TrialContext


@pytest.fixture
def claim(context: TrialContext) -> Claim:
    found = leases.claim(context.engine, "colours", "w", 60)
    assert found is not None
    return found


def begun(context: TrialContext, claim: Claim, **setting: Any) -> Attempt:
    candidate = context.runtime.space.baseline()
    return attempts.begin(context, context.runtime, claim, candidate, AttemptSettings(seed=1, words="x", **setting))


def test_a_training_is_sized_and_announced_before_it_begins(context: TrialContext, claim: Claim) -> None:
    told: list[tuple[int, str, int]] = []
    observer = context.observer

    class Told(type(observer)):  # type: ignore[misc]
        def trial_started(self, number: int, words: str, epochs: int) -> None:
            told.append((number, words, epochs))

    found = begun(replace(context, observer=Told()), claim, kind="refit", epochs=7)
    assert told == [(claim.number, "x", 7)]
    (stored,) = reading.load_study(context.engine, "colours").trials
    assert stored.size is not None
    assert stored.size.parameters == sum(one.numel() for one in found.network.parameters())


def test_checkpoints_of_other_kinds_have_names_of_their_own(context: TrialContext, claim: Claim) -> None:
    trials, confirmed, refitted = (begun(context, claim, kind=kind).rolling.begin for kind in ("", "confirm", "refit"))
    assert trials != confirmed != refitted != trials
    assert (confirmed.endswith("confirm-00000/0-"), refitted.endswith("refit-00000/0-")) == (True, True)


def test_only_trials_are_judged_and_only_what_is_validated_must_be_a_number(
    context: TrialContext, claim: Claim
) -> None:
    record = EpochRecord(1, 0.5, {"accuracy": float("nan"), "loss": 1.0})
    assert begun(context, claim).recorder.judged_until == context.runtime.epochs(context.runtime.space.baseline())
    joined = begun(context, claim, kind="refit", validates=False)
    assert joined.recorder.judged_until == 0
    assert joined.recorder.on_epoch(record) is Verdict.CONTINUE
    with pytest.raises(TrialError, match="accuracy is nan after epoch 1"):
        begun(context, claim, kind="confirm").recorder.on_epoch(record)


def test_what_fitted_is_remembered_and_the_time_of_what_is_handed_back_is_kept(
    context: TrialContext, claim: Claim
) -> None:
    found = begun(replace(context, leave=lambda: True), claim)
    outcome = replace(found.fit(), micro_batch=3)
    assert outcome.verdict is Verdict.PAUSE
    assert found.is_handed_back(outcome, 12.0)
    key = memory_fits.structure_key(found.candidate.to_json())
    kind = out_of_memory.kind_of(context.runtime.precision.device)
    assert memory_fits.recall(context.engine, "colours", key, kind) == 3
    (stored,) = reading.load_study(context.engine, "colours").trials
    assert stored.seconds == pytest.approx(12.0)
    assert begun(context, claim).plan.micro_batch == 3


def test_the_best_epoch_is_the_last_where_nothing_is_validated(context: TrialContext, claim: Claim) -> None:
    outcome = begun(context, claim).fit()
    assert attempts.best_epoch(replace(outcome, best_epoch=1)) is outcome.epochs[0]
    assert attempts.best_epoch(replace(outcome, best_epoch=None)) is outcome.epochs[-1]


def test_a_trial_is_an_attempt_with_its_number_in_optuna(context: TrialContext, claim: Claim) -> None:
    found = trial.prepare(context, claim)
    assert found.optuna_number >= 0
    assert found.runtime is context.runtime
