"""Parameter importance: Optuna's PED-ANOVA and fANOVA."""

from __future__ import annotations

import warnings
from collections.abc import Mapping, Sequence
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.trial import FrozenTrial

from search.records.study import TrialRecord, TrialState
from search.sampling.samplers import distribution

optuna.logging.set_verbosity(optuna.logging.WARNING)


def prepare_importances() -> None:
    """Load what ``importances`` needs: in a program with threads before these start, since Plotly looks at modules
    (pandas) that another thread is still loading."""
    from optuna import importance  # noqa: F401, PLC0415
    from sklearn import ensemble  # noqa: F401, PLC0415  # the forests; this is what loads pandas


def importances(
    trials: Sequence[TrialRecord],
    *,
    maximize: bool = True,
    evaluator: Literal["ped_anova", "fanova"] = "ped_anova",
) -> dict[str, float]:
    """Return how much of the objective's variation each parameter explains, the largest first; sums to 1.

    PED-ANOVA (https://arxiv.org/abs/2304.10255) or fANOVA (https://proceedings.mlr.press/v32/hutter14.html)
    over the complete and the pruned trials: being pruned is a bad result too. A parameter that only some trials
    have is weighted by their share; otherwise three trials with an L2 strength could outweigh everything else.
    Empty if there are fewer than four trials, or no spread in their values.
    """
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    done = [trial for trial in trials if trial.state in ended and trial.value is not None and trial.params]
    if len(done) < 4 or len({trial.value for trial in done}) < 2:
        return {}
    from optuna import importance  # noqa: PLC0415  # loads scikit-learn, a second that training can do without

    study = optuna.create_study(storage=InMemoryStorage(), direction="maximize" if maximize else "minimize")
    spaces = _joined(done)
    study.add_trials([_frozen(trial, spaces) for trial in done])
    judge: importance.BaseImportanceEvaluator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental notes, and parameters that never varied
        if evaluator == "ped_anova":
            judge = importance.PedAnovaImportanceEvaluator()
        else:
            judge = importance.FanovaImportanceEvaluator(seed=0)
        shares = importance.get_param_importances(study, evaluator=judge, normalize=False)
    weighed = {
        name: float(share) * sum(name in trial.params for trial in done) / len(done)
        for name, share in shares.items()
        if len({trial.params[name] for trial in done if name in trial.params}) > 1  # PED-ANOVA gives constants a share
    }
    total = sum(weighed.values())
    ordered = sorted(weighed.items(), key=lambda item: -item[1])
    return {name: share / total for name, share in ordered} if total > 0 else {}


def _joined(trials: Sequence[TrialRecord]) -> dict[str, BaseDistribution]:
    """Return one range per parameter that holds all of its values.

    A range may depend on other decisions (a shorter network has fewer units to freeze), and readers of large studies
    look up each range once.
    """
    joined: dict[str, BaseDistribution] = {}
    for trial in trials:
        for name, value in trial.params.items():
            text = trial.distributions.get(name)
            if text is None and name not in joined:
                continue
            known = joined.get(name) or distribution(str(text))
            joined[name] = _widened(_widened(known, value), *_ends(text))
    return joined


def _ends(text: str | None) -> tuple[float, ...]:
    own = distribution(text) if text is not None else None
    return (own.low, own.high) if isinstance(own, IntDistribution | FloatDistribution) else ()


def _widened(known: BaseDistribution, *values: Any) -> BaseDistribution:
    if not isinstance(known, IntDistribution | FloatDistribution):
        return known
    low, high = min(known.low, *values, known.low), max(known.high, *values, known.high)
    if (low, high) == (known.low, known.high):
        return known
    return type(known)(low, high, log=known.log, step=known.step)  # type: ignore[arg-type]


def _frozen(trial: TrialRecord, spaces: Mapping[str, BaseDistribution]) -> FrozenTrial:
    params = {name: value for name, value in trial.params.items() if name in spaces}
    return optuna.trial.create_trial(
        params=params, distributions={name: spaces[name] for name in params}, value=trial.value
    )
