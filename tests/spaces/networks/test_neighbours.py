from __future__ import annotations

from collections import Counter
from statistics import fmean

from spaces.backbones._base import Pretrained
from spaces.decisions import freeze, registry
from spaces.networks.neighbours import neighbour
from spaces.networks.space import Space, StoredParameters


def space_of(tiny: Pretrained) -> Space:
    ranges = {name: decision.options() for name, decision in registry("classification").items()}
    return Space(tiny, ranges, "classification", {"augmentation": "light", "batch_size": 32})


def test_a_neighbour_differs_and_belongs_to_the_space(tiny: Pretrained) -> None:
    space = space_of(tiny)
    plain = space.baseline()
    for seed in range(30):
        found = neighbour(space, plain, seed)
        assert found != plain
        params = space.params(found)
        assert params is not None
        assert space.sample(StoredParameters(params)) == found
        assert neighbour(space, plain, seed) == found


def test_one_to_three_decisions_change(tiny: Pretrained) -> None:
    space = space_of(tiny)
    good = neighbour(space, space.baseline(), 1)
    known = space.values(good)
    counts = []
    for seed in range(40):
        values = space.values(neighbour(space, good, seed))
        counts.append(sum(value != known[name] for name, value in values.items()))
    assert 1 <= fmean(counts) <= 3  # settling may change what hangs on it, such as a rate of what is frozen now
    assert Counter(counts).most_common(1)[0][0] in (1, 2)


def test_only_the_decisions_named_change(tiny: Pretrained) -> None:
    space = space_of(tiny)
    plain = space.baseline()
    for seed in range(10):
        found = neighbour(space, plain, seed, among=("head", "dropout"))
        kept = {**found.recipe.choices, "batch_norm": plain.recipe.choices["batch_norm"]}  # drawn as what auto means
        assert kept == dict(plain.recipe.choices)
        changed = {name for name, value in found.structure.choices.items() if value != plain.structure.choices[name]}
        assert changed <= {"head", "dropout"}


def test_a_space_without_another_candidate_gives_the_same(tiny: Pretrained) -> None:
    space = Space(tiny, {"freeze": freeze.Range(low=2, high=2)})
    only = space.sample(StoredParameters({"freeze": 2}))
    assert neighbour(space, only, 0) == only
