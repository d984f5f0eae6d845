"""What a search learnt, in sentences made from its numbers."""

from __future__ import annotations

from search.records.plain_text import numbered
from search.records.study import StudyRecord, TrialRecord
from search.report import effects, parameters, shown_trials, wording
from search.report.confirmed import sentences
from search.report.origin import paid
from search.sampling.importance import importances

FEWEST = 20
"""Fewest complete trials from which a search learns anything that another seed would not reverse."""
_TOLD_APART = 6
"""Fewest complete trials of which some are best: three, and as many others."""


def findings(study: StudyRecord) -> list[str]:
    """Return sentences: what mattered most, what the best trials share, what size gains, what fresh seeds say.

    With fewer than ``FEWEST`` complete trials, only what the best have in common and what fresh seeds say.
    """
    done, fresh = list(study.ranking), sentences(study)
    if len(done) < FEWEST:
        return [line for line in (_alike(done),) if line] + fresh
    found = (paid(study), _mattered(study), _shared(done), _alike(done), _smallest(study, done))
    return [line for line in found if line] + fresh


def _mattered(study: StudyRecord) -> str:
    done, judged = effects.comparable(study), shown_trials.with_values(study, 1000)
    shares = importances(judged, maximize=study.maximize)
    likely = effects.intervals(judged, maximize=study.maximize)
    top = [name for name, share in shares.items() if share >= 0.05 and likely.get(name, (0.0, 0.0))[0] >= 0.02][:3]
    if not top:
        return "No single decision stands out: the differences between trials are spread over many."
    parts = []
    for name in top:
        low, high = likely[name]
        note = effects.effect(name, done, maximize=study.maximize)
        text = f"{wording.percent(shares[name])}, 90 % interval {100 * low:.0f} to {wording.percent(high)}" + (
            f"; {note}" if note else ""
        )
        parts.append(f"{parameters.label(name)} ({text})")
    return f"Most of the difference between trials came from {wording.listed(parts)}, judged from {len(judged)} trials."


def _shared(done: list[TrialRecord]) -> str:
    best = done[: max(len(done) // 4, 2)]
    states = [trial.size.states for trial in best if trial.size and trial.size.unit_states]
    if len({len(found) for found in states}) != 1:  # none, or those of several backbones
        return ""
    units = len(states[0])
    frozen = [sum(state == "frozen" for state in unit_states) for unit_states in states]
    kept = [sum(state not in ("dropped", "skipped") for state in unit_states) for unit_states in states]
    return (
        f"The best {len(states)} of {len(done)} complete trials kept {_span(kept)} of {units} units and froze "
        f"{_span(frozen)} of them."
    )


def _alike(done: list[TrialRecord]) -> str:
    """Return the parts of the best trials' words that all of them share, and most of the others lack."""
    if len(done) < _TOLD_APART:
        trials = numbered(len(done), "complete trials")
        return f"{trials}: too few to say what good ones have in common, which takes {_TOLD_APART}." if done else ""
    count = max(len(done) // 4, 3)
    best, others = ([set(trial.words.split(", ")) for trial in part] for part in (done[:count], done[count:]))
    shared = [
        part
        for part in done[0].words.split(", ")
        if all(part in words for words in best) and 2 * sum(part in words for words in others) <= len(others)
    ]
    if not shared:
        if len(done) >= FEWEST:  # other sentences say what the best are like
            return ""
        return f"The best {count} of {len(done)} complete trials have nothing in common that most of the others lack."
    having = sum(set(shared) <= words for words in others)
    few = " (too few trials to say why)" if len(done) < FEWEST else ""
    return (
        f"The best {count} of {len(done)} complete trials have in common: {', '.join(shared)}; so "
        f"{'has' if having == 1 else 'have'} {having or 'none'} of the other {len(others)}{few}."
    )


def _smallest(study: StudyRecord, done: list[TrialRecord]) -> str:
    best, baseline = done[0], study.baseline
    if best.value is None or baseline is None or baseline.value is None or baseline.size is None:
        return ""
    enough = [
        trial
        for trial in done
        if trial.size and trial.value is not None and not study.is_better(baseline.value, trial.value)
    ]
    smallest = min(enough, key=lambda trial: trial.size.parameters if trial.size else 0, default=None)
    if smallest is None or smallest.size is None or smallest is baseline:
        return ""
    return (
        f"Trial {smallest.number} scores no worse than the plain recipe with {wording.count(smallest.size.parameters)} "
        f"parameters instead of {wording.count(baseline.size.parameters)} "
        f"({wording.metric_name(study.metric)} {wording.number(smallest.value)})."
    )


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"
