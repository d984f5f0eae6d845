"""What did better on other data: which candidates to prefer where a few validation samples cannot tell, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from search.data.sample import Split
from search.records.study import PastTrial, TrialState
from search.records.uncertainty import share_error
from search.runtime.study_runtime import StudyRuntime
from spaces.candidate import Candidate
from spaces.chains.chain import PRETRAINED_SIDE, Chain
from spaces.decisions.mixing import mixes
from spaces.decisions.stride import Strides, reductions
from spaces.heads import HeadChoice

_OF_A_PROBE = ("tail", "stride", "resolution", "skip")
"""Decisions that change the output of a frozen network."""
_MAPS, _ON_LARGER_MAPS = "stride", 0.5
"""The decision that makes maps larger, and the share of the epochs there: MobileNetV2 at 128 px with a stem stride of
1, last stage trained on seven sets of 200 to 420 images, had a mean test accuracy of 83.0 after half of its epochs and
of 81.8 after all. Mixed images need them all."""
_SMALL = 0.75
"""Images whose sides are at most this share of those of the pretraining show objects too small for the network: linear
probes of MobileNetV2, mean test accuracy of seven sets with a stem stride of 2 and of 1, at 96 px 71.3 and 77.3, at 128
px 75.2 and 80.2, at 160 px 76.8 and 78.9, at 192 px 78.9 and 78.5 (``tests/benchmarks/larger_maps.py``)."""


def linear_probe(runtime: StudyRuntime, candidate: Candidate) -> Candidate | None:
    """Return the linear probe of the structure of ``candidate``; None if it is not in the study's space."""
    space = runtime.space.member_of(candidate)
    drawn = space.values(candidate)
    if "freeze" not in drawn or not isinstance(drawn.get("head"), HeadChoice):
        return None
    plain = space.values(space.baseline())
    kept = {name: drawn[name] for name in _OF_A_PROBE if name in drawn}
    head = replace(plain["head"], pooling=drawn["head"].pooling)
    probe = space.candidate({**plain, **kept, "freeze": len(space.chain), "head": head})
    return probe if space.params(probe) is not None and runtime.is_linear_probe(probe) else None


def on_larger_maps(
    runtime: StudyRuntime, candidate: Candidate, others: Iterable[Candidate], trials: Iterable[PastTrial]
) -> Candidate:
    """Return ``candidate`` with the strides of ``others`` if a linear probe has found them no worse.

    What features are worth as they are shows what they are worth to start from, and a probe costs seconds. Where larger
    maps did better on other data (``prior_of``), no worse is as far as validation can tell. Linear probes stay as they
    are, and so do the candidates of a study that weighs costs too: larger maps cost computation.
    """
    space = runtime.space.member_of(candidate)
    drawn = space.values(candidate)
    if _MAPS not in drawn or runtime.spec.goals.further or runtime.is_linear_probe(candidate):
        return candidate
    complete = (trial for trial in trials if trial.state is TrialState.COMPLETE and trial.value is not None)
    values = {trial.fingerprint: trial.value or 0.0 for trial in complete}
    plain = space.values(space.baseline())

    def value_of(strides: object) -> float | None:
        probe = linear_probe(runtime, space.candidate({**plain, _MAPS: strides}))
        return values.get(probe.fingerprint) if probe else None

    own, sign = value_of(plain[_MAPS]), 1.0 if runtime.spec.maximize else -1.0
    for strides in (space.values(one)[_MAPS] for one in others if runtime.space.member_of(one) is space):
        value = value_of(strides) if strides != plain[_MAPS] and own is not None else None
        if value is None or own is None:
            continue
        is_favoured = _are_favoured(space.chain, strides) and not _are_favoured(space.chain, drawn[_MAPS])
        error = share_error(runtime.spec.objective, own, len(runtime.dataset.of(Split.VAL))) if is_favoured else 0.0
        if sign * value < sign * own - error:
            continue
        changed = space.candidate({**drawn, _MAPS: strides})
        epochs = drawn["epochs"] if mixes(drawn) else min(_ON_LARGER_MAPS, drawn["epochs"])
        shorter = space.candidate({**drawn, _MAPS: strides, "epochs": epochs})
        kept = next((one for one in (shorter, changed) if space.params(one) is not None), None)
        if kept is not None:
            return kept
    return candidate


def prior_of(runtime: StudyRuntime, candidate: Candidate) -> int:
    """Return how many traits ``candidate`` has that did better on other data, whatever few validation samples say.

    They are: training more than a last layer, and larger maps from the stem on where images are smaller than those of
    the pretraining. On seven sets of 200 to 420 images (MobileNetV2 at 128 px) each gave 3 to 5 points of test
    accuracy.
    """
    space = runtime.space.member_of(candidate)
    values = space.values(candidate)
    is_larger = _MAPS in values and _are_favoured(space.chain, values[_MAPS])
    return int(not runtime.is_linear_probe(candidate)) + int(is_larger)


def _are_favoured(chain: Chain, strides: Strides) -> bool:
    """Return whether ``strides`` make all maps larger from the stem on, where images are small for ``chain``."""
    side = chain.facts.get(PRETRAINED_SIDE)
    is_small = isinstance(side, int) and max(chain.input_size) <= _SMALL * side
    return is_small and bool(strides.off) and strides.off[0] == reductions(chain)[0].name
