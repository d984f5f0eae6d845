"""How candidates were found: in the portfolio, near a good one, from priors, by the sampler."""

from __future__ import annotations

from collections import Counter

from search.records.study import StudyRecord, TrialRecord
from search.report import wording

_SAMPLERS = {"tpe": "TPE", "cost_aware": "cost-aware TPE", "nsga2": "NSGA-II", "nsga3": "NSGA-III", "random": "chance"}
_WAYS = {
    "portfolio": "the portfolio",
    "neighbour": "changes of good candidates",
    "prior": "draws from priors",
    "sampler": "the sampler",
    "warm": "warm starts",
}


def found_by(trial: TrialRecord) -> str:
    """Return how the trial's candidate was found, in words; empty for trials of earlier versions."""
    origin = trial.extras.get("origin", {})
    name, number = origin.get("name", ""), origin.get("trial")
    words = {
        "plain": "the plain recipe",
        "portfolio": f"portfolio: {name}",
        "neighbour": "near a trial beside it" if number is None else f"near trial {number}",
        "prior": "drawn from priors",
        "sampler": f"proposed by {_SAMPLERS.get(name, name)}",
        "warm": f"warm start: trial {number} of {origin.get('study')}",
    }
    return words.get(_way(trial), "")


def paid(study: StudyRecord) -> str:
    """Return which ways of finding candidates paid off: best trial and number of each; empty for a single way."""
    tried = Counter(_way(trial) for trial in study.trials)
    best = {_way(trial): rank for rank, trial in reversed(list(enumerate(study.ranking)))}
    known = sorted((way for way in _WAYS if tried[way]), key=lambda way: best.get(way, len(study.trials)))
    if len(known) < 2:
        return ""
    parts = [
        f"{_WAYS[way]} {wording.number(study.ranking[best[way]].value) if way in best else 'none complete'} "
        f"(of {tried[way]})"
        for way in known
    ]
    return f"The best {wording.metric_name(study.metric)} by how candidates were found: {', '.join(parts)}."


def _way(trial: TrialRecord) -> str:
    origin = trial.extras.get("origin", {})
    return str(origin.get("way", "warm" if "study" in origin else ""))  # earlier versions recorded only warm starts
