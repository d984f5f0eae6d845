"""A study's headline for pages and terminals: gain, proof, size, winner."""

from __future__ import annotations

from typing import NamedTuple

from search.records.plain_text import numbered
from search.records.study import StudyRecord, TrialRecord, TrialState
from search.report import structures, wording
from search.report.confirmed import ALPHA, Comparison
from search.report.gain import Gain, Proof, gain

_NAMED = 6
"""Most tied trials to name; of more, only the number is given."""


class Headline(NamedTuple):
    """What a reader takes from a report in five seconds.

    Attributes:
        gain: ``+1.4 points``; ``values`` the two values: ``accuracy 0.9784 to 0.9923``.
        badge: ``proven``, ``may be chance``, ``confirmed by 5 seeds``; empty if there is nothing to judge.
        reason: for the badge, in words.
        size: ``68 % fewer parameters than the plain recipe (149 k instead of 450 k)``; empty if unknown.
        name: ``trial 12``, with those that reach the same value; ``words`` its candidate.
        strip: the name of every unit of the pretrained network, and what was done to it; empty if unknown.
    """

    gain: str
    values: str
    badge: str
    proof: Proof
    reason: str
    size: str
    name: str
    words: str
    strip: tuple[structures.Cell, ...] = ()

    @property
    def lines(self) -> list[str]:
        """What stands below gain and badge, a line each."""
        return [_begun(line) for line in (self.values if self.gain else "", self.size, self.reason) if line]

    @property
    def sentence(self) -> str:
        """The whole headline but the candidate, for terminals."""
        head = f"{self.values}: {self.gain}" if self.gain else self.values
        judged = ": ".join(part for part in (self.badge, self.reason) if part)
        parts = [f"{head}{f' ({judged})' if judged else ''}.", f"{self.size}." if self.size else ""]
        return " ".join(_begun(part) if index else part for index, part in enumerate(parts) if part)


def _begun(text: str) -> str:
    """Return ``text`` with a capital, as sentences begin; names such as ``mIoU`` stay as they are."""
    return text[0].upper() + text[1:] if text.split(maxsplit=1)[0].islower() else text


def headline(study: StudyRecord) -> Headline | None:
    """Return the study's headline; None while no complete trial satisfies the constraints."""
    best = study.best
    if best is None:
        return None
    gained, metric = gain(study), wording.metric_name(study.metric)
    who = (winner_name(study), best.words, structures.cells(study, best))
    if gained is None:
        values = f"{metric} {wording.number(best.value)}"
        return Headline("", values, "no comparison", Proof.UNKNOWN, _missing(study), "", *who)
    if gained.best is gained.baseline:
        values = f"{metric} {wording.number(best.value)}"
        reason = f"none of {numbered(gained.candidates, 'candidates')} beat the plain recipe"
        return Headline("No gain", values, "", Proof.NONE, reason, "", *who)
    values = f"{metric} {wording.number(gained.baseline.value)} to {wording.number(best.value)}"
    values += "" if study.maximize else " (lower is better)"
    if gained.baseline.state is TrialState.PRUNED:
        values += f", the plain recipe {gained.baseline.ended.partition(':')[0]}"
    return Headline(
        wording.change(gained.difference, study.metric),
        values,
        _badge(gained),
        gained.proof,
        _reason(study, gained),
        _size(gained),
        *who,
    )


def _missing(study: StudyRecord) -> str:
    """Return why there is nothing to compare the winner with, and how to get it."""
    if study.baseline is not None:
        has_failed = study.baseline.state is TrialState.FAILED
        return f"the plain recipe, trial {study.baseline.number}, {'failed' if has_failed else 'has no result yet'}"
    search = ((study.spec or {}).get("study") or {}).get("search") or {}
    runs = any(trial.state is TrialState.RUNNING for trial in study.trials)
    if not runs and (search.get("timeout") or search.get("budget")):
        return (
            "the plain recipe was not tried, as it comes after the first few candidates and only where it takes at "
            "most a tenth of the time; with more time, this study tries it if continued before it is past those "
            "candidates, and a new study later"
        )
    return "the plain recipe has not been tried yet"


def sentence(study: StudyRecord) -> str:
    """Return the headline in a sentence or two, or why there is none yet."""
    shown = headline(study)
    if shown is not None:
        return shown.sentence
    if any(trial.broken for trial in study.trials):
        return "No complete trial satisfies the constraints yet."
    if study.trials and all(trial.state is TrialState.FAILED for trial in study.trials):
        return f"All {len(study.trials)} trials failed." if len(study.trials) > 1 else "The only trial failed."
    return "No trial is complete yet."


def winner_name(study: StudyRecord) -> str:
    """Return the winner's name: ``trial 3 (trials 10 and 14 reach the same accuracy)``.

    Where more than the value decided between equal trials, ``final.choice_sentence`` names them.
    """
    best = study.best
    if best is None:
        return ""
    tied = [trial.number for trial in study.tied]
    name = f"the plain recipe (trial {best.number})" if best.is_baseline else f"trial {best.number}"
    if not tied or study.ahead is not None or study.contenders:
        return name
    others = wording.listed([str(number) for number in tied], "trial")
    others = f"{len(tied)} other trials" if len(tied) > _NAMED else others
    return f"{name} ({others} {'reach' if len(tied) > 1 else 'reaches'} the same {wording.metric_name(study.metric)})"


def _badge(gained: Gain) -> str:
    fresh = gained.fresh
    if gained.proof is Proof.NONE:
        return "worse than the plain recipe" if gained.lead < 0 else "no better than the plain recipe"
    if gained.proof is Proof.CONFIRMED and fresh is not None and fresh.against is not None:
        what = "seeds" if fresh.folds == 1 else "trainings"
        return f"confirmed by {numbered(fresh.against.pairs, what)}"
    return str(gained.proof)


def _reason(study: StudyRecord, gained: Gain) -> str:
    against = gained.fresh.against if gained.fresh is not None else None
    if gained.proof is Proof.NONE:
        return ""
    if against is not None:
        change = wording.change(against.difference if study.maximize else -against.difference, study.metric)
        size = "" if against.margin is None else f", margin {wording.size_of_change(against.margin, study.metric)}"
        return f"{change} with fresh seeds{size}{_corrected(against)}"
    if gained.leaks:
        return f"some validation {study.dataset.noun} are in training too"
    if gained.margin is None:
        return f"{wording.metric_name(study.metric)} of this study has no known margin of error"
    chosen = f" for the best of {gained.candidates} candidates" if gained.candidates > 1 else ""
    return (
        f"margin {wording.size_of_change(gained.margin, study.metric)}{chosen} on {gained.samples} validation "
        f"{study.dataset.noun}"
    )


def _corrected(against: Comparison) -> str:
    """Return why a difference above its margin may be chance all the same: several candidates had their chance."""
    if against.p is None or against.adjusted is None or not against.p < ALPHA <= against.adjusted:
        return ""
    return f"; corrected for the number of candidates, p = {against.adjusted:.3f}"


def _size(gained: Gain) -> str:
    mine, plain = _parameters(gained.best), _parameters(gained.baseline)
    if not mine or not plain:
        return ""
    share = abs(1 - mine / plain)
    instead = f"({wording.count(mine)} instead of {wording.count(plain)})"
    if wording.count(mine) == wording.count(plain):
        return f"as many parameters as the plain recipe ({wording.count(mine)})"
    if mine > 2 * plain:
        return f"{mine / plain:.1f} times the parameters of the plain recipe {instead}"
    shown = f"{100 * share:.0f}" if share >= 0.095 else f"{100 * share:.1g}"
    return f"{shown} % {'fewer' if mine < plain else 'more'} parameters than the plain recipe {instead}"


def _parameters(trial: TrialRecord) -> int:
    return trial.size.parameters if trial.size is not None else 0
