from __future__ import annotations

import math
import random

import pytest

from search.records.study import PastTrial, TrialState
from search.sampling.cost_model import CostFeatures, SecondsModel, in_training


def features(per_epoch: float, trained: float = 1e6, epochs: int = 5) -> CostFeatures:
    return CostFeatures(per_epoch * epochs, per_epoch / 1000, trained, 0.5, epochs, 0, 0)


def ended(number: int, own: CostFeatures, seconds_an_epoch: float, epochs: int) -> PastTrial:
    return PastTrial(
        number,
        TrialState.COMPLETE,
        0.5,
        last_epoch=(epochs, 0.5),
        seconds=seconds_an_epoch * epochs,
        cost=own.to_json(),
    )


def test_a_frozen_prefix_runs_forward_only_and_once_where_it_is_cached() -> None:
    # 10 training and 4 validation samples, 3 epochs; a learning pass is three forward passes.
    assert in_training(0, 1, train=10, val=4, epochs=3) == 3 * (3 * 10 + 4)
    assert in_training(1, 0, train=10, val=4, epochs=3) == 3 * (10 + 4)
    assert in_training(1, 0, train=10, val=4, epochs=3, views=2) == 2 * 10 + 4


def test_features_come_back_as_they_went() -> None:
    own = features(1e9)
    assert CostFeatures.from_json(own.to_json()) == own
    assert CostFeatures.from_json({"training_flops": 1.0}) is None
    older = {name: value for name, value in own.to_json().items() if name != "traffic"}
    assert CostFeatures.from_json(older) is None, "its seconds are of another scale"


def test_few_trials_give_seconds_in_proportion_to_arithmetic() -> None:
    model = SecondsModel([ended(0, features(1e9), 2.0, 5), ended(1, features(1e9), 4.0, 5)])
    assert model.seconds(features(2e9)) == pytest.approx(2 * 3.0 * 5)


def test_steps_take_their_time_however_little_they_compute() -> None:
    many, few = (CostFeatures(1e9, 1e6, 1e6, 0.5, 5, steps, 0) for steps in (100, 10))
    model = SecondsModel([ended(0, many, 2.0, 5)])
    assert model.seconds(many) == pytest.approx(10.0)
    assert 1.0 < model.seconds(few) < 1.1


def test_without_any_trial_the_larger_one_is_the_slower_one() -> None:
    model = SecondsModel([])
    assert model.measured == 0
    assert model.seconds(features(2e9)) == pytest.approx(2 * model.seconds(features(1e9)))


def test_seconds_are_learnt_from_pruned_and_finished_trials() -> None:
    rng = random.Random(0)
    behind = []
    for number in range(30):
        flops = 10 ** rng.uniform(8, 11)
        behind.append(ended(number, features(flops), 0.5 * (flops / 1e9) ** 0.7, rng.choice((1, 5))))
    model = SecondsModel(behind)
    assert model.measured == 30
    epochs = [trial.last_epoch[0] for trial in behind if trial.last_epoch]
    expected = (5 + sum(epochs)) / (1 + len(epochs))  # as many as they ran on average, and one that ran all five
    for flops in (3e8, 1e9, 5e10):
        assert model.seconds(features(flops)) == pytest.approx(expected * 0.5 * (flops / 1e9) ** 0.7, rel=0.25)


def test_far_from_what_was_measured_nothing_absurd_is_promised() -> None:
    behind = [ended(number, features(1e9 * (1 + number)), 1.0 + number, 5) for number in range(6)]
    assert 0.1 * 5 <= SecondsModel(behind).seconds(features(1e2)) <= SecondsModel(behind).seconds(features(1e20))
    assert math.isfinite(SecondsModel(behind).seconds(features(1e30)))


def test_trials_without_epochs_or_features_are_passed_over() -> None:
    assert SecondsModel([PastTrial(0, TrialState.FAILED, seconds=3.0), PastTrial(1, TrialState.RUNNING)]).measured == 0


def test_values_that_are_moved_take_their_time_too() -> None:
    late, early = (CostFeatures(1e12, 1e9, 1e6, 0.5, 5, 0, traffic) for traffic in (1e8, 1e9))
    model = SecondsModel([ended(0, late, 2.0, 5)])
    assert model.seconds(early) == pytest.approx(10.0 * (1e12 + 4e12) / (1e12 + 4e11))


def probe(flops: float) -> CostFeatures:
    return CostFeatures(flops, flops / 1000, 1e3, 0.999, 1, 0, 0)


def test_a_linear_probe_alone_says_little_of_how_long_a_training_takes() -> None:
    whole, training = (CostFeatures(1e12, 1e9, 1e6, share, 1, 0, 0) for share in (0.0, 0.5))
    first = ended(0, probe(1e12), 80.0, 1)
    assert SecondsModel([first]).seconds(whole) == pytest.approx(80 / 2.2)
    assert SecondsModel([first, ended(1, training, 30.0, 1)]).seconds(whole) == pytest.approx(30.0)
    larger = ended(1, probe(4e12), 96.0, 1)
    assert SecondsModel([first, larger]).seconds(whole) == pytest.approx(24 / 0.8), "it decodes nothing"
    many = [ended(number, probe(1e12), 80.0 + number, 1) for number in range(3)]
    model = SecondsModel([*many, ended(3, training, 30.0, 1)])
    assert model.seconds(probe(1e12)) == 82.0  # the slowest: the others had their features from the cache
    assert model.seconds(probe(2e12)) == pytest.approx(1.3 * 82.0)
    assert model.seconds(probe(5e11)) == 82.0
    known = SecondsModel([*many, ended(3, probe(2e12), 100.0, 1)])
    assert known.seconds(probe(2e12)) == 100.0
    assert known.seconds(probe(1e12)) == 82.0
