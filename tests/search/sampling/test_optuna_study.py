from __future__ import annotations

from pathlib import Path

import optuna
import pytest

from search.records.study import Objective, PastTrial, TrialState
from search.sampling.optuna_storage import open_storage
from search.sampling.optuna_study import SamplerOptions, Sampling, delete, trial_seed
from search.store.connection import tune


def sampling(tmp_path: Path, name: str = "s", seed: int = 1) -> Sampling:
    url = f"sqlite:///{tmp_path}/{name}.db"
    storage = open_storage(url, {}, tune)
    return Sampling(storage, "study", maximize=True, options=SamplerOptions(startup=3), seed=seed)


def run(own: Sampling, numbers: range) -> list[dict[str, object]]:
    found = []
    for number in numbers:
        asked = own.ask(number)
        value = asked.suggest.integer("freeze", 0, 9) + asked.suggest.real("rate", 0.0, 1.0)
        if asked.suggest.choice("kind", ("a", "b")) == "b":
            value += asked.suggest.real("strength", 1e-3, 1.0, log=True)
        found.append(dict(asked.params))
        opened = own.open(asked)
        state = TrialState.PRUNED if number % 3 == 2 else TrialState.COMPLETE
        own.tell(opened, state, value, (1, value))
    return found


def test_an_interrupted_study_proposes_what_an_undisturbed_one_does(tmp_path: Path) -> None:
    whole = sampling(tmp_path, "whole")
    expected = run(whole, range(8))
    whole.close()
    first = sampling(tmp_path, "parts")
    found = run(first, range(5))
    first.close()
    second = sampling(tmp_path, "parts")
    assert found + run(second, range(5, 8)) == expected
    second.close()


def test_queued_values_are_given_and_the_rest_is_drawn(tmp_path: Path) -> None:
    own = sampling(tmp_path)
    asked = own.ask(0, {"freeze": 7})
    assert asked.suggest.integer("freeze", 0, 9) == 7
    assert 0 <= asked.suggest.real("rate", 0.0, 1.0) <= 1
    assert set(asked.distributions) == {"freeze", "rate"}
    own.close()


def test_optuna_sees_the_study_as_it_was(tmp_path: Path) -> None:
    own = sampling(tmp_path)
    params = run(own, range(6))
    stored = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path}/s.db")
    assert [trial.params for trial in stored.trials] == params
    assert [trial.state.name for trial in stored.trials] == ["COMPLETE", "COMPLETE", "PRUNED"] * 2
    assert stored.trials[2].intermediate_values.keys() == {1}
    assert all(trial.datetime_start and trial.datetime_complete for trial in stored.trials)
    own.close()


def test_what_is_learnt_is_the_same_from_the_store_as_from_optuna(tmp_path: Path) -> None:
    behind: list[PastTrial] = []
    url = f"sqlite:///{tmp_path}/other.db"
    storage = open_storage(url, {}, tune)
    options = SamplerOptions(startup=3)
    other = Sampling(storage, "study", maximize=True, options=options, seed=1, history=lambda: behind)
    own = sampling(tmp_path)
    for number in range(8):
        (params,) = run(own, range(number, number + 1))
        asked = other.ask(number)
        value = asked.suggest.integer("freeze", 0, 9) + asked.suggest.real("rate", 0.0, 1.0)
        if asked.suggest.choice("kind", ("a", "b")) == "b":
            value += asked.suggest.real("strength", 1e-3, 1.0, log=True)
        assert asked.params == params
        state = TrialState.PRUNED if number % 3 == 2 else TrialState.COMPLETE
        behind.append(PastTrial(number, state, value, asked.params, asked.distributions, (1, value)))
    other.close()
    own.close()


def test_telling_twice_changes_nothing(tmp_path: Path) -> None:
    own = sampling(tmp_path)
    asked = own.ask(0)
    asked.suggest.integer("freeze", 0, 9)
    assert own.unfinished() == ()
    assert own.open(asked) == 0
    assert own.unfinished() == (0,)
    own.tell(0, TrialState.COMPLETE, 1.0, None)
    own.tell(0, TrialState.FAILED, None, None)
    assert own.unfinished() == ()
    own.close()


def test_deleting_a_study_optuna_never_saw_is_not_an_error(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path}/s.db"
    storage = open_storage(url, {}, tune)
    delete(storage, "absent")
    storage.engine.dispose()  # type: ignore[attr-defined]


def test_seeds_of_trials_differ_and_repeat() -> None:
    seeds = [trial_seed(0, number) for number in range(100)]
    assert len(set(seeds)) == 100
    assert seeds == [trial_seed(0, number) for number in range(100)]
    assert trial_seed(1, 0) != trial_seed(0, 0)


def test_a_sampler_without_a_start_is_refused() -> None:
    with pytest.raises(ValueError, match="startup"):
        SamplerOptions(startup=0)


def several(tmp_path: Path, name: str = "tpe") -> Sampling:
    storage = open_storage(f"sqlite:///{tmp_path}/mo.db", {}, tune)
    options = SamplerOptions(name=name, startup=3, population=3)  # type: ignore[arg-type]
    further = [Objective("flops", maximize=False)]
    return Sampling(storage, "study", maximize=True, options=options, seed=1, further=further)


@pytest.mark.parametrize("name", ["tpe", "cost_aware", "nsga2", "nsga3", "random"])
def test_several_objectives_are_reported_and_learnt_from(tmp_path: Path, name: str) -> None:
    own = several(tmp_path, name)
    for number in range(12):
        asked = own.ask(number)
        x = asked.suggest.real("x", 0.0, 1.0)
        opened = own.open(asked)
        pruned = number % 4 == 3
        own.tell(
            opened,
            TrialState.PRUNED if pruned else TrialState.COMPLETE,
            x,
            (1, x),
            objectives={} if pruned else {"flops": x * x},
            constraints={"flops < 1": x * x - 1},
        )
    own.close()
    stored = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path}/mo.db")
    assert [direction.name for direction in stored.directions] == ["MAXIMIZE", "MINIMIZE"]
    for trial in stored.trials:
        assert trial.constraints == {"flops < 1": pytest.approx(trial.params["x"] ** 2 - 1)}
        assert trial.values == (
            None if trial.number % 4 == 3 else pytest.approx([trial.params["x"], trial.params["x"] ** 2])
        )
    assert stored.best_trials
    if name in ("nsga2", "nsga3"):
        generations = [
            value for trial in stored.trials for key, value in trial.system_attrs.items() if "generation" in key
        ]
        assert max(generations) >= 1


def test_a_rejected_candidate_is_seen_in_optuna_and_is_not_a_trial_of_ours(tmp_path: Path) -> None:
    own = several(tmp_path)
    asked = own.ask(0)
    asked.suggest.real("x", 0.0, 1.0)
    rejected = own.reject(asked, {"flops < 1": 0.5})
    assert rejected.constraints == {"flops < 1": 0.5}
    assert 0 <= own.ask(0, attempt=1, rejected=[rejected]).suggest.real("x", 0.0, 1.0) <= 1
    assert own.unfinished() == ()
    own.close()
    (trial,) = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path}/mo.db").trials
    assert (trial.state.name, trial.constraints) == ("PRUNED", {"flops < 1": 0.5})


def test_an_objective_that_is_not_a_number_is_not_a_result(tmp_path: Path) -> None:
    own = several(tmp_path)
    opened = own.open(own.ask(0))
    own.tell(opened, TrialState.COMPLETE, 0.5, None, objectives={"flops": float("nan")})
    own.close()
    (trial,) = optuna.load_study(study_name="study", storage=f"sqlite:///{tmp_path}/mo.db").trials
    assert trial.state.name == "FAIL"
