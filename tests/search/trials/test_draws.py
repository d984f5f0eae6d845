"""Candidates are drawn near good ones, from the priors or by the sampler, and repeat for the same trial."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from search.data.sample import Split
from search.runtime.study_runtime import open_runtime
from search.trials import draws as draws_module
from search.trials.context import TrialContext
from search.trials.draws import Draws, lengths, steps_of
from spaces.decisions import epochs, mixing


def draws(context: TrialContext, portfolio: str) -> Draws:
    spec = context.runtime.spec
    runtime = replace(context.runtime, spec=replace(spec, search=replace(spec.search, portfolio=portfolio)))
    return Draws(runtime, context.sampling, ())


def test_without_a_portfolio_every_candidate_is_the_samplers(context: TrialContext) -> None:
    own = draws(context, "off")
    assert {own.way(number) for number in range(20)} == {"sampler"}
    assert own.draw(3, 0, ()).origin["way"] == "sampler"
    assert own.why_hopeless(own.runtime.space.baseline()) == ""


def test_without_results_candidates_come_from_the_priors(context: TrialContext) -> None:
    own = draws(context, "on")
    drawn = own.draw(3, 0, ())
    assert drawn.origin["way"] == "prior"
    assert own.draw(3, 0, ()).candidate == drawn.candidate
    assert len({own.draw(3, attempt, ()).candidate.fingerprint for attempt in range(8)}) > 1


def test_steps_are_batches_times_epochs(context: TrialContext) -> None:
    runtime = context.runtime
    candidate = runtime.space.baseline()
    batches = math.ceil(len(runtime.dataset.of(Split.TRAIN)) / runtime.spec.training.batch_size)
    assert steps_of(runtime, candidate) == batches * runtime.epochs(candidate)


def test_a_candidate_is_tried_for_fewer_epochs_where_the_study_holds_that(
    context: TrialContext, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = context.runtime.spec
    opened = {**spec.space, "epochs": epochs.Range(shares=(0.5, 1.0)), "mixing": mixing.Range()}
    wide = open_runtime(replace(spec, space=opened), "cpu")
    plain = wide.space.baseline()
    monkeypatch.setattr(draws_module, "_FEWEST_STEPS", 1)
    mixed = wide.space.candidate({**wide.space.values(plain), "mixing": mixing.Mixing("cutmix", 0.5)})
    assert list(lengths(wide, mixed)) == [mixed], "mixed samples need all epochs"
    assert list(lengths(context.runtime, plain)) == [plain]
    whole, half = lengths(wide, plain)
    assert whole == plain
    assert wide.space.values(half) == {**wide.space.values(plain), "epochs": 0.5}
    assert list(lengths(wide, half)) == [half]
    monkeypatch.setattr(draws_module, "_FEWEST_STEPS", steps_of(wide, half) + 1)
    assert list(lengths(wide, plain)) == [plain]
