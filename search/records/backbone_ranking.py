"""Backbones ranked before anything is trained: scores, costs, and how far the scores agree. No torch."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from itertools import combinations
from statistics import fmean

FEWEST = 3
"""Fewest backbones for which agreement means anything."""


@dataclass(frozen=True, slots=True)
class Layer:
    """The features after one unit.

    Attributes:
        depth: units up to it over all units, above 0 to 1.
        width: length of a pooled feature vector.
        scores: estimator -> score, of those that judge layers.
    """

    unit: str
    depth: float
    width: int
    scores: Mapping[str, float]


@dataclass(frozen=True, slots=True)
class BackboneScore:
    """One backbone on the data.

    Attributes:
        size: height and width of the images it was given.
        parameters, flops: without its own classifier; two FLOPs per multiply-add.
        latency_ms: median of one image through it.
        accuracy: published top-1 on ImageNet-1k in percent; None if there is none.
        scores: estimator -> score of its last features, without estimators that do not apply.
        layers: from the input to the last unit.
        seconds: time to score it.
    """

    backbone: str
    label: str
    weights: str
    size: tuple[int, int]
    parameters: int
    flops: int
    latency_ms: float
    accuracy: float | None
    scores: Mapping[str, float]
    layers: tuple[Layer, ...] = ()
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Agreement:
    """How two orders of the same ``count`` backbones agree: Kendall's tau-b, 1 the same, 0 unrelated, -1 reversed."""

    first: str
    second: str
    tau: float
    count: int


@dataclass(frozen=True, slots=True)
class Ranking:
    """Backbones on one data set.

    Attributes:
        titles: estimator -> its displayed name, in order.
        backbone_scores: the best first, by mean rank over the estimators that score all.
        left_out: backbones that could not be scored, with the reason.
        tried: backbone -> best value of ``metric`` of trials in the store on this data.
    """

    study: str
    dataset: str
    images: int
    classes: int
    device: str
    titles: Mapping[str, str]
    backbone_scores: tuple[BackboneScore, ...]
    left_out: tuple[tuple[str, str], ...] = ()
    tried: Mapping[str, float] = field(default_factory=dict)
    metric: str = ""
    maximize: bool = True

    @property
    def agreements(self) -> tuple[Agreement, ...]:
        """Agreement of every two estimators, over the backbones that both score."""
        rows = (
            agreement(self.titles[one], self._column(one), self.titles[other], self._column(other))
            for one, other in combinations(self.titles, 2)
        )
        return tuple(each for each in rows if each is not None)

    @property
    def with_trials(self) -> tuple[Agreement, ...]:
        """Agreement of every estimator with the results of trials in the store."""
        sign = 1 if self.maximize else -1
        reached = {backbone: sign * value for backbone, value in self.tried.items()}
        agreed = (agreement(title, self._column(name), "trials", reached) for name, title in self.titles.items())
        return tuple(each for each in agreed if each is not None)

    def _column(self, name: str) -> dict[str, float]:
        return {
            backbone_score.backbone: backbone_score.scores[name]
            for backbone_score in self.backbone_scores
            if name in backbone_score.scores
        }


def agreement(first: str, scores: Mapping[str, float], second: str, others: Mapping[str, float]) -> Agreement | None:
    """Return how the two orders agree on what both score; None for fewer than three, or if all are equal."""
    from scipy.stats import kendalltau  # noqa: PLC0415  # takes half a second, and pages of studies need none of it

    both = [name for name in scores if name in others]
    if len(both) < FEWEST:
        return None
    tau = float(kendalltau([scores[name] for name in both], [others[name] for name in both]).statistic)
    return None if math.isnan(tau) else Agreement(first, second, tau, len(both))


def mean_ranks(backbone_scores: Sequence[BackboneScore], estimators: Sequence[str]) -> list[float]:
    """Return the mean rank of each backbone, 1 the best, over the estimators that score all of them.

    Equal scores share their ranks.
    """
    whole = [name for name in estimators if all(name in backbone_score.scores for backbone_score in backbone_scores)]
    columns = [[backbone_score.scores[name] for backbone_score in backbone_scores] for name in whole]
    return [
        fmean(
            [
                1 + sum(other > column[index] for other in column) + (column.count(column[index]) - 1) / 2
                for column in columns
            ]
            or [1.0]
        )
        for index in range(len(backbone_scores))
    ]


def ordered(backbone_scores: Sequence[BackboneScore], estimators: Sequence[str]) -> tuple[BackboneScore, ...]:
    """Return ``backbone_scores`` by mean rank, the best first; ties go to the smaller network."""
    ranks = mean_ranks(backbone_scores, estimators)
    places = sorted(range(len(backbone_scores)), key=lambda place: (ranks[place], backbone_scores[place].parameters))
    return tuple(backbone_scores[index] for index in places)


def trust(ranking: Ranking) -> list[str]:
    """Return how far the scores can be trusted here, one line each."""
    lines: list[str] = []
    pairs = ranking.agreements
    if len(ranking.backbone_scores) < FEWEST:
        lines.append(
            f"With {len(ranking.backbone_scores)} backbones it cannot be judged how well the estimators agree."
        )
    elif pairs:
        mean = fmean(pair.tau for pair in pairs)
        worst = min(pairs, key=lambda pair: pair.tau)
        lines.append(
            f"{_word(mean)}: Kendall's tau is {mean:.2f} on average over {len(pairs)} pairs of estimators and "
            f"{len(ranking.backbone_scores)} backbones, lowest between {worst.first} and {worst.second} "
            f"({worst.tau:.2f})."
        )
    tried = [one for one in ranking.backbone_scores if one.backbone in ranking.tried]
    judged = ranking.with_trials
    if judged:
        best = max(judged, key=lambda pair: pair.tau)
        listed = ", ".join(f"{pair.first} {pair.tau:.2f}" for pair in judged)
        lines.append(
            f"Against the trials of {len(tried)} backbones in the store on this data: {listed}. "
            f"{best.first} orders them best."
        )
    else:
        lines.append(
            f"Trials of {len(tried)} of these backbones are in the store on this data: too few to check the scores by "
            f"({FEWEST} are needed)."
        )
    lines.append("Use scores to decide where to begin, not what to leave out: fine-tuning changes the order.")
    return lines


def _word(tau: float) -> str:
    if tau >= 0.7:
        return "The estimators agree well"
    if tau >= 0.4:
        return "The estimators agree in part"
    return "The estimators disagree, so trust none of them"
