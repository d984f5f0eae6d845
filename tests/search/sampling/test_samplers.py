from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

import optuna
import pytest
from optuna.distributions import FloatDistribution, distribution_to_json

from search.records.study import Objective, PastTrial, Rejected, TrialState
from search.sampling import samplers
from search.sampling.samplers import SamplerOptions, View, bounded, frozen, teaches

X = {"x": distribution_to_json(FloatDistribution(0.0, 1.0))}


def trials(count: int) -> list[PastTrial]:
    """Trials of which the best are those with x near 0.7."""
    rng = random.Random(0)
    places = [rng.random() for _ in range(count)]
    return [
        PastTrial(number, TrialState.COMPLETE, 1 - abs(x - 0.7), {"x": x}, X, (1, 0.0))
        for number, x in enumerate(places)
    ]


def proposals(behind: Sequence[PastTrial], count: int = 20, name: str = "tpe") -> list[tuple[float, float]]:
    found = []
    for seed in range(count):
        own = samplers.make(SamplerOptions(name=name), seed)  # type: ignore[arg-type]
        study = optuna.create_study(
            storage=View([frozen(trial) for trial in behind]), direction="maximize", sampler=own
        )
        value = study.ask().suggest_float("x", 0.0, 1.0)
        found.append((value, own.improvement() if isinstance(own, samplers.WeighedTPE) else 1.0))
    return found


def test_tpe_learns_from_the_trials_it_is_shown() -> None:
    assert sum(abs(x - 0.7) < 0.15 for x, _ in proposals(trials(40))) >= 15
    assert sum(abs(x - 0.7) < 0.15 for x, _ in proposals(trials(4))) < 15


def test_a_long_history_is_cut_to_the_best_and_the_newest() -> None:
    behind = trials(3000)
    kept = bounded(behind, maximize=True)
    assert len(kept) == samplers.KEPT
    numbers = [trial.number for trial in kept]
    assert numbers == sorted(numbers)
    ranked = sorted(behind, key=lambda trial: -(trial.value or 0))
    assert {trial.number for trial in ranked[: samplers.KEPT_BEST]} <= set(numbers)
    assert set(range(2600, 3000)) <= set(numbers)
    assert bounded(behind[: samplers.KEPT], maximize=True) == behind[: samplers.KEPT]


def test_a_running_trial_of_another_worker_is_never_cut() -> None:
    behind = trials(3000)
    behind[5] = PastTrial(5, TrialState.RUNNING, None, {"x": 0.7}, X)
    assert behind[5] in bounded(behind, maximize=True)


def test_a_cut_history_proposes_as_well_as_the_whole() -> None:
    behind = trials(1500)
    whole = sum(abs(x - 0.7) < 0.1 for x, _ in proposals(behind))
    cut = sum(abs(x - 0.7) < 0.1 for x, _ in proposals(bounded(behind, maximize=True)))
    assert cut >= whole - 2


def test_a_loss_that_was_no_number_teaches_and_a_full_disk_does_not() -> None:
    failed = PastTrial(0, TrialState.FAILED, None, {"x": 0.5}, X, failure_kind="nan")
    assert teaches(failed)
    assert frozen(failed).state is optuna.trial.TrialState.PRUNED
    assert not teaches(PastTrial(0, TrialState.FAILED, None, {"x": 0.5}, X, failure_kind="disk"))
    assert not teaches(PastTrial(0, TrialState.RUNNING))


def test_the_improvement_of_a_proposal_is_what_tpe_saw_in_it() -> None:
    found = proposals(trials(40), name="cost_aware")
    assert all(improvement > 1 for _, improvement in found)  # 1 is no better than anywhere
    assert [x for x, _ in found] == [x for x, _ in proposals(trials(40))]
    assert {improvement for _, improvement in proposals(trials(4), name="cost_aware")} == {1.0}


def test_queued_values_are_given_whatever_has_been_learnt() -> None:
    study = optuna.create_study(sampler=samplers.QueuedValues({"x": 0.25}, 0))
    assert study.ask().suggest_float("x", 0.0, 1.0) == 0.25


def test_a_trial_of_optuna_comes_back_as_it_went() -> None:
    for trial in (
        PastTrial(3, TrialState.COMPLETE, 0.5, {"x": 0.5}, X),
        PastTrial(3, TrialState.PRUNED, None, {"x": 0.5}, X, (2, 0.4)),
        PastTrial(3, TrialState.RUNNING, None, {"x": 0.5}, X),
    ):
        back = samplers.past(frozen(trial))
        assert (back.state, back.value, back.params, back.distributions) == (trial.state, trial.value, trial.params, X)
        assert back.last_epoch == trial.last_epoch


def test_options_that_make_no_sense_are_refused() -> None:
    with pytest.raises(ValueError, match="startup"):
        SamplerOptions(startup=0)
    with pytest.raises(ValueError, match="proposals"):
        SamplerOptions(proposals=0)


IDLE = ("a", "b", "c", "d", "e")
BOTH = (Objective("size", maximize=False),)


def weighed(count: int) -> list[PastTrial]:
    """Trials that are the better and the larger the larger x is; the trade-off is worth it up to 0.5."""
    behind = []
    for trial in trials(count):
        x = trial.params["x"]
        values = {"value": min(x, 0.5), "size": max(x, 0.5)}
        idle = dict.fromkeys(IDLE, 0.5)  # with a single parameter a genetic algorithm mutates it always
        spaces = dict.fromkeys(("x", *IDLE), X["x"])
        behind.append(
            replace(trial, value=values["value"], objectives=values, params={"x": x, **idle}, distributions=spaces)
        )
    return behind


def asked(behind: Sequence[PastTrial], name: str, seed: int, further: Sequence[Objective] = BOTH) -> float:
    own = samplers.make(SamplerOptions(name=name, population=8), seed)  # type: ignore[arg-type]
    view = View([frozen(trial, further) for trial in behind])
    directions = ["maximize", *("maximize" if one.maximize else "minimize" for one in further)]
    study = optuna.create_study(storage=view, directions=directions, sampler=own)
    trial = study.ask()
    drawn = [trial.suggest_float(name, 0.0, 1.0) for name in ("x", *IDLE)]
    return drawn[0]


@pytest.mark.parametrize("name", ["tpe", "cost_aware", "nsga2", "nsga3"])
def test_samplers_learn_from_several_objectives(name: str) -> None:
    near = [abs(asked(weighed(60), name, seed) - 0.5) < 0.2 for seed in range(24)]
    assert sum(near) >= 15  # of random draws, about ten


@pytest.mark.parametrize("name", ["tpe", "cost_aware", "nsga2", "nsga3"])
def test_pruned_trials_do_not_disturb_samplers_of_several_objectives(name: str) -> None:
    behind = weighed(30)
    behind[3:12] = [replace(one, state=TrialState.PRUNED, objectives={}, last_epoch=(1, 0.1)) for one in behind[3:12]]
    assert 0 <= asked(behind, name, 1) <= 1


def test_what_breaks_a_constraint_is_stayed_away_from() -> None:
    behind = [replace(one, constraints={"x < 0.3": one.params["x"] - 0.3}) for one in trials(60)]
    near = sum(asked(behind, "tpe", seed, ()) < 0.4 for seed in range(20))
    free = sum(asked(trials(60), "tpe", seed, ()) < 0.4 for seed in range(20))
    assert near >= 14 > free


def test_a_refused_candidate_says_what_it_breaks() -> None:
    found = samplers.refused(Rejected({"x": 0.5}, X, {"parameters < 3M": 0.2}), 4)
    assert found.state is optuna.trial.TrialState.PRUNED
    assert found.constraints == {"parameters < 3M": 0.2}


def test_a_long_history_of_several_objectives_keeps_its_front() -> None:
    behind = weighed(3000)
    cheap = min(behind, key=lambda one: (one.objectives["size"], -one.objectives["value"]))
    kept = bounded(behind, maximize=True, further=BOTH)
    assert len(kept) == samplers.KEPT
    assert cheap in kept


@pytest.mark.parametrize("options", [{"population": 1}, {"startup": 0}, {"proposals": 0}])
def test_sampler_settings_that_make_no_sense_are_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        SamplerOptions(**options)  # type: ignore[arg-type]
