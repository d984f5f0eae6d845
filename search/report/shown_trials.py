"""Which trials of a large study a page shows in full, and what an outline knows of the rest.

Pages of large studies are drawn from outlines (``search.store.aggregates``): all trials, but with curves, structures
and evaluations only for those that these functions name.
"""

from __future__ import annotations

import json
import random
from collections.abc import Sequence

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import wording

EPOCHS_RUN = "epochs_run"
"""Key of ``TrialRecord.extras`` under which an outline holds the number of epochs a trial ran."""


def for_curves(study: StudyRecord, most: int = 300) -> list[int]:
    """Return the numbers of trials whose curves are drawn: the best, the plain recipe, running ones, an even sample."""
    ranking = study.ranking
    special = [trial.number for trial in ranking[: most // 10]]
    special += [trial.number for trial in study.trials if trial.is_baseline]
    special += [trial.number for trial in study.trials if trial.state is TrialState.RUNNING][:32]
    others = [trial.number for trial in study.trials if epochs_run(trial) or trial.state is TrialState.PRUNED]
    # A power of two: as trials are added, chosen ones stay or drop out, so that few new curves are read.
    stride = 1
    while len(others) / stride > most:
        stride *= 2
    return sorted({*special, *(number for number in others if number % stride == 0)})


def for_details(study: StudyRecord, most: int = 60) -> list[int]:
    """Return the numbers of trials whose structure and evaluation are shown: the best and the plain recipe."""
    best = [trial.number for trial in study.ranking[:most]]
    return sorted({*best, *(trial.number for trial in study.trials if trial.is_baseline)})


def with_values(study: StudyRecord, most: int) -> list[TrialRecord]:
    """Return ended trials that have a value and parameters; of more than ``most``, a uniform sample."""
    ended = (TrialState.COMPLETE, TrialState.PRUNED)
    done = [trial for trial in study.trials if trial.state in ended and wording.finite(trial.value) and trial.params]
    if len(done) <= most:
        return done
    chosen = sorted(random.Random(0).sample(range(len(done)), most))
    return [done[index] for index in chosen]


def epochs_run(trial: TrialRecord) -> int:
    """Return the number of epochs the trial ran, whether or not they were read."""
    known = trial.extras.get(EPOCHS_RUN)
    return known if isinstance(known, int) else len(trial.epochs) or trial.best_epoch or 0


def is_log(name: str, trials: Sequence[TrialRecord]) -> bool:
    """Return whether a parameter was drawn on a log scale; if its range is unknown, whether it spans decades."""
    space = next((trial.distributions[name] for trial in trials if name in trial.distributions), None)
    if space is not None:
        return bool(json.loads(space).get("attributes", {}).get("log"))
    values = [trial.params[name] for trial in trials if name in trial.params]
    numbers = [float(value) for value in values if isinstance(value, int | float)]
    return len(numbers) == len(values) > 0 and min(numbers) > 0 and max(numbers) / min(numbers) > 50


def spaces_of(trials: Sequence[TrialRecord]) -> dict[str, str]:
    """Return the range of every parameter, as Optuna's JSON, from the first trial that has it."""
    spaces: dict[str, str] = {}
    for trial in trials:
        for name, space in trial.distributions.items():
            spaces.setdefault(name, space)
    return spaces
