"""What a search learnt, in sentences made from its numbers."""

from __future__ import annotations

from search.records.study import StudyRecord, TrialRecord
from search.report import picks, theme
from search.report.confirmed import sentences
from search.report.figures.importance import direction, from_best_to_worst
from search.sampling.importance import importances


def findings(study: StudyRecord) -> list[str]:
    """Return sentences: what fresh seeds say, what mattered most, what the best trials share, what size bought."""
    done, fresh = list(study.ranking), sentences(study)
    if len(done) < 4:
        return [*fresh, "Too few complete trials to say more than which one was best."] if done else fresh
    return fresh + [line for line in (_mattered(study), _shared(done), _smallest(study, done)) if line]


def _mattered(study: StudyRecord) -> str:
    done = from_best_to_worst(study)
    judged = picks.with_values(study, 1000)
    shares = importances(judged, maximize=study.maximize)
    top = [(name, share) for name, share in shares.items() if share >= 0.05][:3]
    if not top:
        return "No single decision stands out: the differences between trials are spread over many."
    parts = []
    for name, share in top:
        note = direction(name, done, study)
        parts.append(f"{name} ({share:.0%}{', ' + note if note else ''})")
    return f"Most of the difference between trials came from {_listed(parts)}, judged from {len(judged)} trials."


def _shared(done: list[TrialRecord]) -> str:
    best = done[: max(len(done) // 4, 2)]
    states = [trial.size.unit_states for trial in best if trial.size and trial.size.unit_states]
    if not states:
        return ""
    units = len(states[0])
    frozen = [sum(state == "frozen" for state in found) for found in states]
    dropped = [sum(state == "dropped" for state in found) for found in states]
    return (
        f"The best {len(states)} of {len(done)} complete trials froze {_span(frozen)} of {units} units "
        f"and dropped {_span(dropped)}."
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
    how = "better than" if study.is_better(smallest.value or 0.0, baseline.value) else "as good as"
    return (
        f"Trial {smallest.number} is {how} the plain recipe with {theme.count(smallest.size.parameters)} "
        f"parameters instead of {theme.count(baseline.size.parameters)} "
        f"({theme.metric_name(study.metric)} {theme.number(smallest.value)})."
    )


def _span(values: list[int]) -> str:
    low, high = min(values), max(values)
    return str(low) if low == high else f"{low} to {high}"


def _listed(parts: list[str]) -> str:
    return parts[0] if len(parts) == 1 else ", ".join(parts[:-1]) + " and " + parts[-1]
