"""What a study's first lines say, on pages and terminals alike: gain, proof, size, winner."""

from __future__ import annotations

from collections import Counter
from typing import NamedTuple

from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import theme
from search.report.gain import Gain, Proof, gain

_NAMED = 6
"""Tied trials that are named; of more their number is said."""


class Headline(NamedTuple):
    """The five seconds of a report.

    Attributes:
        gain: ``+1.4 points``; ``values`` what it is the difference of: ``accuracy 0.9784 to 0.9923``.
        badge: ``proven``, ``may be chance``, ``confirmed by 5 seeds``; empty where there is nothing to judge.
        reason: of the badge, in words.
        size: ``68 % fewer parameters than the plain recipe (149 k instead of 450 k)``; empty where it is not known.
        name: ``trial 12``, with the trials that it is tied with; ``words`` its candidate.
        strip: the name of every unit of the pretrained network, and what was done with it; empty where not known.
    """

    gain: str
    values: str
    badge: str
    proof: Proof
    reason: str
    size: str
    name: str
    words: str
    strip: tuple[tuple[str, str], ...] = ()

    @property
    def strip_words(self) -> str:
        """What the strip shows: ``12 units: 5 frozen, 7 trained``."""
        counts = Counter(state for _, state in self.strip)
        return f"{len(self.strip)} units: " + ", ".join(f"{count} {state}" for state, count in counts.items())

    @property
    def sentence(self) -> str:
        """All of it but the candidate, as a terminal has it."""
        head = f"{self.values}: {self.gain}" if self.gain else self.values
        judged = ": ".join(part for part in (self.badge, self.reason) if part)
        parts = [f"{head}{f' ({judged})' if judged else ''}.", f"{self.size}." if self.size else ""]
        return " ".join(part[0].upper() + part[1:] if index else part for index, part in enumerate(parts) if part)


def headline(study: StudyRecord) -> Headline | None:
    """Return what the study has found; None while no trial that keeps the constraints is complete."""
    best = study.best
    if best is None:
        return None
    found, metric = gain(study), theme.metric_name(study.metric)
    who = (winner_name(study), best.words, _strip(study, best))
    if found is None:
        values = f"{metric} {theme.number(best.value)}"
        missing = "has no result yet" if study.baseline is not None else "was not tried"
        return Headline("", values, "", Proof.UNKNOWN, f"the plain recipe {missing}", "", *who)
    if found.best is found.baseline:
        values = f"{metric} {theme.number(best.value)}"
        reason = f"none of {theme.counted(found.candidates, 'candidate')} beat the plain recipe"
        return Headline("No gain", values, "", Proof.NONE, reason, "", *who)
    values = f"{metric} {theme.number(found.baseline.value)} to {theme.number(best.value)}"
    values += "" if study.maximize else " (lower is better)"
    if found.baseline.state is TrialState.PRUNED:
        values += f", the plain recipe {found.baseline.ended.partition(':')[0]}"
    return Headline(
        theme.change(found.difference, study.metric),
        values,
        _badge(found),
        found.proof,
        _reason(study, found),
        _size(found),
        *who,
    )


def _strip(study: StudyRecord, trial: TrialRecord) -> tuple[tuple[str, str], ...]:
    states = trial.size.unit_states if trial.size is not None else ()
    names = [unit.name for unit in study.units]
    if len(names) != len(states):  # of another backbone than the study's first
        names = [f"unit {index}" for index in range(1, len(states) + 1)]
    return tuple(zip(names, states, strict=True))


def sentence(study: StudyRecord) -> str:
    """Return the headline in a sentence or two; what is missing where there is none yet."""
    found = headline(study)
    if found is not None:
        return found.sentence
    if any(trial.broken for trial in study.trials):
        return "No complete trial keeps the constraints yet."
    return "No trial is complete yet."


def winner_name(study: StudyRecord) -> str:
    """Return what the winner is called, with the trials that are as good: ``trial 3, tied with trials 10 and 14``."""
    best = study.best
    if best is None:
        return ""
    tied = [trial.number for trial in study.tied]
    name = f"the plain recipe (trial {best.number})" if best.is_baseline else f"trial {best.number}"
    if not tied:
        return name
    if len(tied) > _NAMED:
        return f"{name}, tied with {len(tied)} other trials"
    return f"{name}, tied with {theme.listed([str(number) for number in tied], 'trial')}"


def _badge(found: Gain) -> str:
    fresh = found.fresh
    if found.proof is Proof.NONE:
        return "worse than the plain recipe" if found.lead < 0 else "no better than the plain recipe"
    if found.proof is Proof.CONFIRMED and fresh is not None and fresh.against is not None:
        what = "seed" if fresh.folds == 1 else "training"
        return f"confirmed by {theme.counted(fresh.against.pairs, what)}"
    return str(found.proof)


def _reason(study: StudyRecord, found: Gain) -> str:
    against = found.fresh.against if found.fresh is not None else None
    if found.proof is Proof.NONE:
        return ""
    if against is not None:
        change = theme.change(against.difference if study.maximize else -against.difference, study.metric)
        size = "" if against.margin is None else f", margin {theme.size_of_change(against.margin, study.metric)}"
        return f"{change} with fresh seeds{size}"
    if found.leaks:
        return f"some validation {study.dataset.noun} are in training too"
    if found.margin is None:
        return f"{theme.metric_name(study.metric)} of this study came without a margin"
    chosen = f" for the best of {found.candidates} candidates" if found.candidates > 1 else ""
    return (
        f"margin {theme.size_of_change(found.margin, study.metric)}{chosen} on {found.samples} validation "
        f"{study.dataset.noun}"
    )


def _size(found: Gain) -> str:
    mine, plain = _parameters(found.best), _parameters(found.baseline)
    if not mine or not plain:
        return ""
    share = abs(1 - mine / plain)
    instead = f"({theme.count(mine)} instead of {theme.count(plain)})"
    if theme.count(mine) == theme.count(plain):
        return f"as many parameters as the plain recipe ({theme.count(mine)})"
    if mine > 2 * plain:
        return f"{mine / plain:.1f} times the parameters of the plain recipe {instead}"
    shown = f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.1g}"
    return f"{shown} % {'fewer' if mine < plain else 'more'} parameters than the plain recipe {instead}"


def _parameters(trial: TrialRecord) -> int:
    return trial.size.parameters if trial.size is not None else 0
