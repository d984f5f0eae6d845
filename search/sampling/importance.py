"""Parameter importance: Optuna's PED-ANOVA and fANOVA."""

from __future__ import annotations

import math
import warnings
from collections.abc import Container, Iterable, Iterator, Sequence
from typing import Any, Literal

import optuna
from optuna.distributions import BaseDistribution, FloatDistribution, IntDistribution
from optuna.storages import InMemoryStorage
from optuna.study import StudyDirection
from optuna.trial import FrozenTrial
from optuna.trial import TrialState as OptunaState

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
    Empty if there are fewer than four trials, or no spread in their values, or one that no
    number holds.
    """
    return next(of_draws(trials, [range(len(trials))], maximize=maximize, evaluator=evaluator))


def of_draws(
    trials: Sequence[TrialRecord],
    draws: Iterable[Sequence[int]],
    *,
    maximize: bool = True,
    evaluator: Literal["ped_anova", "fanova"] = "ped_anova",
) -> Iterator[dict[str, float]]:
    """Yield what ``importances`` says of each of ``draws``, places in ``trials``, whose ranges are joined once."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    done = {
        place: trial
        for place, trial in enumerate(trials)
        if trial.state in ended and trial.value is not None and trial.params
    }
    spaces = _joined(list(done.values()))
    known = {
        place: {name: value for name, value in trial.params.items() if name in spaces} for place, trial in done.items()
    }
    ranges = {place: {name: spaces[name] for name in params} for place, params in known.items()}
    for draw in draws:
        drawn = [
            _complete(number, done[place].value, known[place], ranges[place])
            for number, place in enumerate(draw)
            if place in done
        ]
        yield _judged(drawn, maximize=maximize, evaluator=evaluator)


class _Given(optuna.Study):
    """A study of trials that are given: a storage would copy every one of them, which takes longer than judging."""

    def __init__(self, trials: list[FrozenTrial], direction: StudyDirection) -> None:
        storage = InMemoryStorage()
        super().__init__(storage.get_study_name_from_id(storage.create_new_study([direction])), storage)
        self._given = trials

    def get_trials(self, deepcopy: bool = True, states: Container[OptunaState] | None = None) -> list[FrozenTrial]:
        """Return the trials, all of which are complete."""
        return self._given if states is None or OptunaState.COMPLETE in states else []


def _judged(done: list[FrozenTrial], *, maximize: bool, evaluator: Literal["ped_anova", "fanova"]) -> dict[str, float]:
    values = [trial.value or 0.0 for trial in done]
    spread = max(values, default=0.0) - min(values, default=0.0)
    if len(done) < 4 or not spread or not math.isfinite(spread * spread * len(done)):  # what a variance sums up
        return {}
    from optuna import importance  # noqa: PLC0415  # loads scikit-learn, a second that training can do without

    judge: importance.BaseImportanceEvaluator
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # experimental notes, and parameters that never varied
        if evaluator == "ped_anova":
            judge = importance.PedAnovaImportanceEvaluator()
        else:
            judge = importance.FanovaImportanceEvaluator(seed=0)
        study = _Given(done, StudyDirection.MAXIMIZE if maximize else StudyDirection.MINIMIZE)
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


def _complete(
    number: int, value: float | None, params: dict[str, Any], distributions: dict[str, BaseDistribution]
) -> FrozenTrial:
    """Return a complete trial of Optuna; a number of its own, as evaluators tell trials apart by it."""
    return FrozenTrial(
        number=number,
        trial_id=number,
        state=OptunaState.COMPLETE,
        value=value,
        params=params,
        distributions=distributions,
        datetime_start=None,
        datetime_complete=None,
        user_attrs={},
        system_attrs={},
        intermediate_values={},
    )
