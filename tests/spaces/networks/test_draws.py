from __future__ import annotations

import math
from collections import Counter
from statistics import fmean, stdev

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions import registry
from spaces.decisions._prior import Categorical, Normal, mostly
from spaces.networks.draws import FromPrior, Likeliest
from spaces.networks.space import Space

COUNT = 4000


def test_choices_come_with_their_stated_probabilities() -> None:
    draws = FromPrior(0)
    found = Counter(draws.choice("kernel.1", ("keep", "3", "5"), prior=mostly("keep", 0.7)) for _ in range(COUNT))
    assert found["keep"] / COUNT == pytest.approx(0.7, abs=0.03)
    assert found["3"] / COUNT == pytest.approx(0.15, abs=0.03)
    whole = Counter(draws.integer("freeze", 0, 4, prior=Categorical({0: 0.3, 4: 0.15, 9: 0.1})) for _ in range(COUNT))
    assert whole[0] / whole[4] == pytest.approx(2.0, rel=0.25)
    assert set(whole) == {0, 1, 2, 3, 4}


def test_a_value_that_is_not_offered_leaves_its_share_to_the_rest() -> None:
    assert mostly("none", 0.7).weights(("l1", "l2")) == pytest.approx([0.15, 0.15])
    assert Categorical({"a": 1.0}).weights(("b", "c")) == [1.0, 1.0]


def test_rates_are_log_normal_around_the_default_and_stay_in_range() -> None:
    draws = FromPrior(1)
    rates = [draws.real("lr", 1e-5, 1e-1, log=True, prior=Normal(1e-3, 2.0)) for _ in range(COUNT)]
    logs = [math.log(rate) for rate in rates]
    assert math.exp(fmean(logs)) == pytest.approx(1e-3, rel=0.05)
    assert math.exp(stdev(logs)) == pytest.approx(2.0, rel=0.05)
    narrow = [draws.real("lr", 5e-3, 6e-3, log=True, prior=Normal(1e-3, 2.0)) for _ in range(100)]
    assert all(5e-3 <= rate <= 6e-3 for rate in narrow)


def test_without_a_prior_values_are_drawn_evenly() -> None:
    draws = FromPrior(2)
    assert fmean(draws.real("share", 0, 1) for _ in range(COUNT)) == pytest.approx(0.5, abs=0.02)
    rates = [math.log10(draws.real("rate", 1e-4, 1e-2, log=True)) for _ in range(COUNT)]
    assert fmean(rates) == pytest.approx(-3, abs=0.05)


def test_near_a_good_candidate_numbers_stay_near() -> None:
    draws = FromPrior(3, {"lr": 2e-2})
    rates = [draws.real("lr", 1e-5, 1e-1, log=True, prior=Normal(1e-3, 2.0)) for _ in range(200)]
    assert 1.5e-2 < sorted(rates)[100] < 2.6e-2


def test_the_likeliest_is_the_priors_own() -> None:
    likeliest = Likeliest()
    assert likeliest.choice("kind", ("a", "b", "c"), prior=mostly("b", 0.6)) == "b"
    assert likeliest.integer("tail", 0, 3, prior=mostly(0, 0.7)) == 0
    assert likeliest.real("lr", 1e-5, 1e-1, log=True, prior=Normal(1e-3, 2)) == 1e-3
    assert likeliest.real("lr", 1e-4, 1e-2, log=True) == pytest.approx(1e-3)


def test_most_draws_of_the_whole_space_leave_the_structure_as_it_is(tiny: Pretrained) -> None:
    space = Space(tiny, {name: decision.options() for name, decision in registry("classification").items()})
    plain = space.baseline().structure.choices
    found = [space.sample(FromPrior(seed)).structure.choices for seed in range(150)]
    for name, most in (("tail", 0.45), ("kernel", 0.25), ("stride", 0.2), ("skip", 0.25), ("lora", 0.45)):
        assert sum(choices[name] != plain[name] for choices in found) / len(found) < most, name
