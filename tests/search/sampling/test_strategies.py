from __future__ import annotations

from collections import Counter

from search.records.study import PastTrial, TrialState
from search.sampling.strategies import good_one, way


def shares(results: int, startup: int = 8) -> dict[str, float]:
    found = Counter(way(results, startup, seed) for seed in range(2000))
    return {name: count / 2000 for name, count in found.items()}


def test_the_sampler_proposes_nothing_before_it_has_results() -> None:
    assert shares(0) == {"prior": 1.0}
    early = shares(7)
    assert "sampler" not in early
    assert 0.7 < early["neighbour"] < 0.8


def test_the_sampler_takes_over_as_results_come() -> None:
    later = [shares(results)["sampler"] for results in (12, 24, 60, 400)]
    assert later == sorted(later)
    assert 0.33 < shares(24)["sampler"] < 0.42
    assert 0.7 < later[-1] < 0.78
    assert shares(400)["neighbour"] > 0.15


def test_the_same_seed_gives_the_same_way() -> None:
    assert [way(30, 8, seed) for seed in range(20)] == [way(30, 8, seed) for seed in range(20)]


def trial(number: int, value: float, state: TrialState = TrialState.COMPLETE, **more: object) -> PastTrial:
    return PastTrial(number, state, value, params={"freeze": number}, **more)  # type: ignore[arg-type]


def test_a_good_one_is_among_the_best_three_that_are_complete() -> None:
    trials = [trial(number, 0.1 * number) for number in range(8)]
    trials += [trial(8, 0.95, TrialState.PRUNED), trial(9, 0.99, constraints={"flops": 0.1})]
    found = Counter(one.number for seed in range(500) if (one := good_one(trials, maximize=True, seed=seed)))
    assert [number for number, _ in found.most_common()] == [7, 6, 5]
    worst = {one.number for seed in range(50) if (one := good_one(trials, maximize=False, seed=seed))}
    assert worst == {0, 1, 2}


def test_without_results_there_is_none() -> None:
    assert good_one([trial(0, 0.5, TrialState.FAILED)], maximize=True, seed=0) is None
