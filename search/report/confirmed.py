"""The confirmation by fresh seeds: means, intervals, tests against the plain recipe, selection bias."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from statistics import mean, variance
from typing import NamedTuple

from search.records.plain_text import numbered
from search.records.study import Refit, Repeat, StudyRecord, TrialState
from search.report import final, wording

FEWEST = 3
"""Fewest trainings for an interval: with two, Student's t is 12.7, and two equal values look certain."""


ALPHA = 0.05
"""A result as good as this one, or better, comes by chance no more often than this where it is called proven."""


class Comparison(NamedTuple):
    """A candidate against the plain recipe, seed by seed and fold by fold.

    Attributes:
        difference: mean of the pairs' differences, positive if the candidate is better; ``margin`` half its 95 %
            interval, None if all pairs differ by the same amount.
        p: of the two-sided paired t-test; ``adjusted`` by Holm for all candidates compared. None if all pairs differ
            by the same amount: too few validation images for seeds to differ.
    """

    pairs: int
    difference: float
    margin: float | None
    p: float | None
    adjusted: float | None


class Confirmed(NamedTuple):
    """One candidate's fresh trainings on one split of the data.

    Attributes:
        margin: half the 95 % interval of the mean; None for fewer than three trainings.
        searched: the value in the search.
        drop: how much worse the mean is than that value, which choosing the luckiest inflates; negative if better.
        images: trained on, on average.
        against: None for the plain recipe itself, and with fewer than three trained pairs.
    """

    number: int
    is_baseline: bool
    folds: int
    fraction: float
    values: tuple[float, ...]
    mean: float
    margin: float | None
    searched: float | None
    drop: float | None
    images: float | None
    against: Comparison | None


def confirmed(study: StudyRecord, *, folds: int | None = None, fraction: float | None = None) -> list[Confirmed]:
    """Return every retrained candidate, the best mean first, for one split of the data after the other.

    Args:
        folds, fraction: only these splits.
    """
    cuts = sorted(
        {
            (run.folds, run.fraction)
            for run in study.repeats
            if run.value is not None and folds in (None, run.folds) and fraction in (None, run.fraction)
        },
        key=lambda cut: (-cut[1], cut[0]),
    )
    return [row for cut in cuts for row in _of_cut(study, *cut)]


def _of_cut(study: StudyRecord, folds: int, fraction: float) -> list[Confirmed]:
    sign = 1.0 if study.maximize else -1.0
    runs: dict[int, list[Repeat]] = {}
    for run in study.repeats:
        if (run.folds, run.fraction) == (folds, fraction) and wording.finite(run.value):
            runs.setdefault(run.trial, []).append(run)
    baseline = study.baseline.number if study.baseline is not None else None
    plain = {(run.seed, run.fold): run.value or 0.0 for run in runs.get(-1 if baseline is None else baseline, ())}
    tests = {
        number: _compared(_differences(of, plain, sign), folds) for number, of in runs.items() if number != baseline
    }
    adjusted = _adjusted(tests)
    searched = {trial.number: trial.value for trial in study.trials}
    rows = []
    for number, of in runs.items():
        values = tuple(run.value or 0.0 for run in of)
        middle, seen = mean(values), searched.get(number)
        images = [run.images for run in of if run.images is not None]
        rows.append(
            Confirmed(
                number=number,
                is_baseline=number == baseline,
                folds=folds,
                fraction=fraction,
                values=values,
                mean=middle,
                margin=margin(values, folds),
                searched=seen,
                # With other validation images, or fewer labels, more than luck differs.
                drop=sign * (seen - middle) if seen is not None and fraction == 1 else None,
                images=mean(images) if images else None,
                against=adjusted.get(number),
            )
        )
    return sorted(rows, key=lambda row: (-sign * row.mean, row.number))


def _differences(runs: Sequence[Repeat], plain: Mapping[tuple[int, int], float], sign: float) -> list[float]:
    """Return how much better each run is than the plain recipe's run with the same seed and fold, if there is one."""
    pairs = [(run.value or 0.0, plain.get((run.seed, run.fold))) for run in runs]
    return [sign * (value - other) for value, other in pairs if other is not None]


def _factor(count: int, folds: int) -> float:
    """Return the factor from the variance of ``count`` values to the variance of their mean.

    Folds share training images, so their values are not independent: Nadeau and Bengio's correction
    (https://doi.org/10.1023/A:1024068626366) adds the ratio of validation to training images.
    """
    return 1 / count + (1 / (folds - 1) if folds > 1 else 0.0)


def margin(values: Sequence[float], folds: int = 1) -> float | None:
    """Return half the 95 % interval of the mean of ``values``, by Student's t.

    None for fewer than ``FEWEST``, and if all values are equal: so coarse a metric hides how much they vary.
    """
    if len(values) < FEWEST or _spread(values) == 0:
        return None
    from scipy.special import stdtrit  # noqa: PLC0415  # pages of studies without confirmations need none of it

    spread = math.sqrt(variance(values) * _factor(len(values), folds))
    return float(stdtrit(len(values) - 1, 0.975)) * spread


def _spread(values: Sequence[float]) -> float:
    """Return the variance; 0 if values differ by rounding alone, as differences of the same two shares do."""
    spread = variance(values)
    return spread if spread > 1e-18 else 0.0


def _compared(differences: Sequence[float], folds: int) -> Comparison | None:
    if len(differences) < FEWEST:
        return None
    from scipy.special import stdtr  # noqa: PLC0415  # as above

    middle, half = mean(differences), margin(differences, folds)
    spread = math.sqrt(_spread(differences) * _factor(len(differences), folds))
    p = 2 * float(stdtr(len(differences) - 1, -abs(middle) / spread)) if spread else None
    return Comparison(len(differences), middle, half, p, p)


def _adjusted(tests: dict[int, Comparison | None]) -> dict[int, Comparison]:
    """Return the possible comparisons, with p adjusted by Holm (https://www.jstor.org/stable/4615733)."""
    kept = {number: test for number, test in tests.items() if test is not None}
    known = sorted((test.p, number) for number, test in kept.items() if test.p is not None)
    least = 0.0
    for index, (p, number) in enumerate(known):
        least = min(max(least, (len(known) - index) * p), 1.0)
        kept[number] = kept[number]._replace(adjusted=least)
    return kept


HEAD = ("trial", "data", "trainings", "confirmed", "in the search", "change", "against the plain recipe", "p (Holm)")
"""Columns of ``lines``."""
HOW_TO_READ = (
    "Every candidate was trained again with the same fresh seeds. ± is half the 95 % interval of a mean: it says how "
    "much seeds and folds vary, not how well the validation samples represent new data."
)


def lines(study: StudyRecord) -> list[tuple[str, ...]]:
    """Return a line for every retrained candidate, cells in the order of ``HEAD``."""
    return [_line(study, row) for row in confirmed(study)]


def _line(study: StudyRecord, row: Confirmed) -> tuple[str, ...]:
    against, sign = row.against, 1.0 if study.maximize else -1.0
    return (
        f"{row.number} (plain recipe)" if row.is_baseline else str(row.number),
        _data(row),
        str(len(row.values)),
        _mean(row),
        wording.number(row.searched),
        "–" if row.drop is None else wording.signed(-sign * row.drop),
        _difference(study, against) if against else "–",
        _p(against.adjusted) if against is not None and against.adjusted is not None else "–",
    )


def _data(row: Confirmed) -> str:
    parts = [f"{row.folds} folds"] if row.folds > 1 else []
    parts += [f"{row.fraction:.3g} of the labels"] if row.fraction < 1 else []
    return ", ".join(parts) or "as searched"


def _p(value: float) -> str:
    return "< 0.001" if value < 0.001 else f"{value:.3f}"


def sentences(study: StudyRecord) -> list[str]:
    """Return sentences on the winner's fresh trainings and test images; empty before there are any."""
    model = final.model_sentence(study) if study.finals else ""
    said = (final.choice_sentence(study), f"The model is {model}" if model else "")
    lines = [line for line in (_verdict(study), _luck(study), _progress(study), *said) if line]
    return [f"{line[0].upper()}{line[1:]}" for line in lines + _final(study)]


def whole(study: StudyRecord) -> list[Confirmed]:
    """Return the rows of the split that says most about the winner: all labels, most trainings."""
    rows = confirmed(study, fraction=1.0)
    most = max(rows, key=lambda row: (len(row.values), row.folds), default=None)
    return [row for row in rows if most is not None and row.folds == most.folds]


def _verdict(study: StudyRecord) -> str:
    rows = whole(study)
    if not rows or (study.contenders and not any(row.is_baseline for row in rows)):
        return ""  # of contenders, their choice says more
    first, plain = rows[0], next((row for row in rows if row.is_baseline), None)
    best = first if first.is_baseline else _of_winner(study, rows) or first
    how = numbered(len(best.values), "fresh trainings") + (f" over {best.folds} folds" if best.folds > 1 else "")
    name = "the plain recipe" if best.is_baseline else f"trial {best.number}"
    metric = wording.metric_name(study.metric)
    verdict = " is best:" if best is first else ", the winner, has"
    text = f"With {how} {name}{verdict} {metric} {_mean(best)}"
    if best.is_baseline or plain is None:
        return text + ("; no candidate of the search beats it." if best.is_baseline and len(rows) > 1 else ".")
    text += f" against {_mean(plain)} of the plain recipe"
    if best.against is None:
        return text + f"; fewer than {FEWEST} pairs of trainings cannot be tested."
    adjusted, pairs = best.against.adjusted, best.against.pairs
    if adjusted is None:
        return f"{text}: {_difference(study, best.against)} in each of {pairs} pairs, too coarse a measure to test."
    certain = "confirmed" if adjusted < ALPHA and best.against.difference > 0 else "may be chance"
    return (
        f"{text}: {_difference(study, best.against)}, {certain} "
        f"(paired t-test over {pairs} pairs, p {_equals(adjusted)} after Holm)."
    )


def _of_winner(study: StudyRecord, rows: Sequence[Confirmed]) -> Confirmed | None:
    """Return the row of the study's winner, of which all sentences speak, however many trials did well."""
    return next((row for row in rows if study.best is not None and row.number == study.best.number), None)


def _equals(p: float) -> str:
    return _p(p) if p < 0.001 else f"= {_p(p)}"


def _difference(study: StudyRecord, against: Comparison) -> str:
    """Return the difference with the sign of the numbers shown beside it."""
    signed = wording.signed(against.difference if study.maximize else -against.difference)
    return signed + (f" ± {against.margin:.4f}" if against.margin is not None else "")


def _mean(row: Confirmed) -> str:
    return wording.number(row.mean) + (f" ± {row.margin:.4f}" if row.margin is not None else "")


def _luck(study: StudyRecord) -> str:
    highest = next(iter(study.ranking), None)
    row = next((row for row in whole(study) if highest is not None and row.number == highest.number), None)
    if row is None or row.drop is None or row.searched is None:
        return ""
    other = f" and on other validation {study.dataset.noun}" if row.folds > 1 else ""
    searched = wording.number(row.searched)
    highest_of_all = "" if highest is study.best else ", the best value of all"
    what = f"The search saw {searched} for trial {row.number}{highest_of_all}; with fresh seeds{other} it "
    if row.drop <= 0:
        return f"{what}does no worse ({wording.number(row.mean)}): no sign of selection bias."
    less = wording.size_of_change(row.drop, study.metric)
    return (
        f"{what}reaches {wording.number(row.mean)}, {less} less: the search picked a lucky training (selection bias)."
    )


def _progress(study: StudyRecord) -> str:
    left = sum(not run.state.is_finished for run in study.repeats)
    failed = [run for run in study.repeats if run.state is TrialState.FAILED]
    count = len(study.repeats)
    parts = [f"{left} of {count} fresh trainings are still to come"] if left else []
    parts += [f"{len(failed)} of {count} fresh trainings failed, the first with: {failed[0].failure}"] if failed else []
    return "; ".join(parts) + "." * bool(parts)


def _final(study: StudyRecord) -> list[str]:
    return [refit_sentence(study, refit) for refit in study.refits if refit.state is TrialState.COMPLETE]


def _views(study: StudyRecord, refit: Refit) -> str:
    """Return the effect of averaging over views of each image on a refit's score."""
    averaged = refit.views.get(study.metric)
    if averaged is not None:
        return f" ({wording.number(averaged)} averaged over views of each, which `ftsearch predict` does not do)"
    return ", averaged over views of each" if refit.tta else ""


def refit_sentence(study: StudyRecord, refit: Refit) -> str:
    """Return the result of a finished refit: its first score on the test samples is the final number."""
    name = "a candidate from a file" if refit.trial is None else f"trial {refit.trial}"
    what = f"Refit {refit.number} ({name}, {refit.epochs} epochs on {refit.data}"
    what += f"{', averaged weights' * refit.ema})"
    value = refit.test.get(study.metric)
    if value is None:
        return f"{what}: the data set has no test {study.dataset.noun}, so there is no final number."
    score = f"{wording.metric_name(study.metric)} {wording.number(value)} on the test {study.dataset.noun}"
    score += _views(study, refit)
    if refit.look == 1:
        return f"{what}: {score}. This is the final number."
    return f"{what}: {score}, but this was look {refit.look} at them: a score that models are chosen by is optimistic."
