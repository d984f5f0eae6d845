"""Candidates are drawn near good ones, from the priors or by the sampler, and repeat for the same trial."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from search.data.sample import Split
from search.records.study import PastTrial, TrialState
from search.runtime.study_runtime import open_runtime
from search.trials.context import TrialContext
from search.trials.draws import Draws, lengths, on_larger_maps, prior_of, steps_of
from search.trials.portfolio import planned
from spaces.chains.chain import PRETRAINED_SIDE
from spaces.decisions import epochs, stride


def draws(context: TrialContext, portfolio: str) -> Draws:
    spec = context.runtime.spec
    runtime = replace(context.runtime, spec=replace(spec, search=replace(spec.search, portfolio=portfolio)))
    return Draws(runtime, context.sampling, ())


def test_without_a_portfolio_every_candidate_is_the_samplers(context: TrialContext) -> None:
    own = draws(context, "off")
    assert {own.way(number) for number in range(20)} == {"sampler"}
    assert own.draw(3, 0, ()).origin["way"] == "sampler"
    assert own.why_hopeless(own.runtime.space.baseline()) == ""


def test_before_anything_is_known_candidates_come_from_the_priors(context: TrialContext) -> None:
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


def test_a_candidate_is_tried_for_fewer_epochs_where_the_study_holds_that(context: TrialContext) -> None:
    spec = context.runtime.spec
    wide = open_runtime(replace(spec, space={**spec.space, "epochs": epochs.Range(shares=(0.5, 1.0))}), "cpu")
    plain = wide.space.baseline()
    assert list(lengths(context.runtime, plain)) == [plain]
    whole, half = lengths(wide, plain)
    assert whole == plain
    assert wide.space.values(half) == {**wide.space.values(plain), "epochs": 0.5}
    assert list(lengths(wide, half)) == [half]


@pytest.mark.parametrize(
    ("side", "own", "larger", "are_taken"),
    [
        (224, 0.5, 0.6, True),
        (224, 0.5, 0.49, True),
        (24, 0.5, 0.49, False),
        (24, 0.5, 0.5, True),
        (224, 0.9, 0.1, False),
        (224, 0.5, None, False),
        (224, None, 0.5, False),
    ],
)
def test_members_are_trained_on_larger_maps_if_their_probe_did_no_worse(
    context: TrialContext, side: int, own: float | None, larger: float | None, *, are_taken: bool
) -> None:
    spec = context.runtime.spec
    wide = replace(spec, space={**spec.space, "stride": stride.Range(max_growth=100), "epochs": epochs.Range()})
    runtime = open_runtime(wide, "cpu")
    runtime.space.chain = replace(runtime.space.chain, facts={**runtime.space.chain.facts, PRETRAINED_SIDE: side})
    members = {one.member.name: one.candidate for one in planned(runtime.space, "classification")}
    probes = members["linear probe"], members["probe of larger maps"]
    trials = [
        PastTrial(number, TrialState.COMPLETE, value, fingerprint=probe.fingerprint)
        for number, (probe, value) in enumerate(zip(probes, (own, larger), strict=True))
        if value is not None
    ]
    values = runtime.space.values
    trained = next(one for one in members.values() if not runtime.is_linear_probe(one))
    stem = values(probes[1])["stride"]
    assert stem.off
    assert not values(trained)["stride"].off
    is_small = side > 24
    assert [prior_of(runtime, probe) for probe in probes] == [0, int(is_small)]
    adapted = on_larger_maps(runtime, trained, members.values(), trials)
    assert values(adapted) == {**values(trained), **({"stride": stem, "epochs": 0.5} if are_taken else {})}
    assert prior_of(runtime, adapted) == 1 + int(is_small and are_taken)
    assert on_larger_maps(runtime, probes[0], members.values(), trials) == probes[0]
    assert on_larger_maps(context.runtime, trained, members.values(), trials) == trained
