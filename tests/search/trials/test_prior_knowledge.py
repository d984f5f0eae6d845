from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import PastTrial, TrialState
from search.runtime.study_runtime import open_runtime
from search.trials.context import TrialContext
from search.trials.portfolio import planned
from search.trials.prior_knowledge import linear_probe, on_larger_maps, prior_of
from spaces.chains.chain import PRETRAINED_SIDE
from spaces.decisions import epochs, mixing, stride


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
    wide = replace(
        spec,
        space={
            **spec.space,
            "stride": stride.Range(max_growth=100),
            "epochs": epochs.Range(),
            "mixing": mixing.Range(),
        },
    )
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
    assert [linear_probe(runtime, probe) for probe in probes] == list(probes)
    is_small = side > 24
    assert [prior_of(runtime, probe) for probe in probes] == [0, int(is_small)]
    adapted = on_larger_maps(runtime, trained, members.values(), trials)
    assert values(adapted) == {**values(trained), **({"stride": stem, "epochs": 0.5} if are_taken else {})}
    mixed = members["last stage, CutMix"]
    in_full = on_larger_maps(runtime, mixed, members.values(), trials)
    assert values(in_full) == {**values(mixed), **({"stride": stem} if are_taken else {})}
    assert prior_of(runtime, adapted) == 1 + int(is_small and are_taken)
    assert on_larger_maps(runtime, probes[0], members.values(), trials) == probes[0]
    assert on_larger_maps(context.runtime, trained, members.values(), trials) == trained
