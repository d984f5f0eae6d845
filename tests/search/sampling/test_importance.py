"""Importances point at the parameter that decides."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from optuna.distributions import FloatDistribution, IntDistribution, distribution_to_json

from search.records.study import TrialRecord, TrialState
from search.sampling.importance import importances, of_draws
from search.sampling.optuna_storage import open_storage
from search.sampling.optuna_study import SamplerOptions, Sampling
from search.store.connection import tune


def sampling(tmp_path: Path, name: str = "s", seed: int = 1) -> Sampling:
    url = f"sqlite:///{tmp_path}/{name}.db"
    storage = open_storage(url, {}, tune)
    return Sampling(storage, "study", maximize=True, options=SamplerOptions(startup=3), seed=seed)


def test_the_parameter_that_decides_is_the_important_one(tmp_path: Path) -> None:
    own = sampling(tmp_path)
    records = []
    for number in range(24):
        asked = own.ask(number)
        freeze, noise = asked.suggest.integer("freeze", 0, 9), asked.suggest.real("noise", 0.0, 1.0)
        value = float(freeze)
        own.tell(own.open(asked), TrialState.COMPLETE, value, None)
        records.append(TrialRecord(number, TrialState.COMPLETE, value, asked.params, asked.distributions))
        assert 0 <= noise <= 1
    for evaluator in ("ped_anova", "fanova"):
        shares = importances(records, evaluator=evaluator)  # type: ignore[arg-type]
        assert shares["freeze"] > 0.8
        assert sum(shares.values()) == pytest.approx(1.0)
    assert importances(records[:3]) == {}
    own.close()


def test_ranges_that_depend_on_other_decisions_are_joined() -> None:
    ranges = [distribution_to_json(IntDistribution(0, high)) for high in (8, 9)]
    trials = tuple(
        TrialRecord(
            number, TrialState.COMPLETE, value=depth / 10, params={"freeze": depth, "rate": 0.1 * (number % 3 + 1)},
            distributions={"freeze": ranges[depth > 8], "rate": distribution_to_json(FloatDistribution(0.01, 1.0))},
        )
        for number, depth in enumerate((9, 1, 4, 8, 2, 9))
    )  # fmt: skip
    found = importances(trials)
    assert next(iter(found)) == "freeze"
    # As the dashboard has it: each range looked up once, from whichever trial came first.
    short = tuple(replace(trial, distributions={**trial.distributions, "freeze": ranges[0]}) for trial in trials)
    assert importances(short) == pytest.approx(found)


@pytest.mark.parametrize("evaluator", ["ped_anova", "fanova"])
def test_what_never_varied_has_decided_nothing(evaluator: str) -> None:
    wide = distribution_to_json(FloatDistribution(0.0, 1.0))
    records = [
        TrialRecord(
            number, TrialState.COMPLETE, number / 4, {"still": 0.0, "moves": number / 4}, {"still": wide, "moves": wide}
        )
        for number in range(4)
    ]
    assert importances(records, evaluator=evaluator) == {"moves": 1.0}  # type: ignore[arg-type]


@pytest.mark.parametrize("evaluator", ["ped_anova", "fanova"])
def test_values_whose_variance_no_number_holds_decide_nothing(evaluator: str) -> None:
    wide = distribution_to_json(FloatDistribution(0.0, 1.0))
    records = [
        TrialRecord(number, TrialState.COMPLETE, value, {"moves": number / 4}, {"moves": wide})
        for number, value in enumerate((1e308, -1e308, 0.5, 0.2))
    ]
    assert importances(records, evaluator=evaluator) == {}  # type: ignore[arg-type]


def test_a_draw_is_judged_as_its_trials_alone_would_be() -> None:
    """A bootstrap draws a trial several times; each of them counts."""
    wide = distribution_to_json(FloatDistribution(0.0, 1.0))
    trials = [
        TrialRecord(number, TrialState.COMPLETE, value=(7 * number % 11) / 11,
                    params={"rate": (7 * number % 11) / 11, "noise": (3 * number % 7) / 7},
                    distributions={"rate": wide, "noise": wide})
        for number in range(11)
    ]  # fmt: skip
    draws = [[0, 1, 1, 2, 5, 5, 9, 9, 10], list(range(11)), [3, 3, 3, 3, 3]]
    found = list(
        of_draws([replace(trials[0], state=TrialState.FAILED), *trials], [[1 + at for at in one] for one in draws])
    )
    assert found == [importances([trials[place] for place in draw]) for draw in draws]
    assert found[0] != found[1]
    assert found[2] == {}
