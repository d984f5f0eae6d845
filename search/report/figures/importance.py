"""How much each decision matters, and in which direction."""

from __future__ import annotations

from collections import defaultdict
from typing import NamedTuple

import plotly.graph_objects as go

from search import study as sampling
from search.records import StudyRecord, TrialRecord, TrialState
from search.report import theme
from search.report.figures._base import Figure


class Row(NamedTuple):
    """One parameter: its share of the objective's variation, and what tends to be better."""

    decision: str
    parameter: str
    share: float
    direction: str


class Rows(NamedTuple):
    """Parameters by importance, and the sums by decision; ``trials`` is how many they were judged from."""

    parameters: tuple[Row, ...]
    decisions: tuple[tuple[str, float], ...]
    trials: int


class Importance(Figure):
    """PED-ANOVA over complete and pruned trials (https://arxiv.org/abs/2304.10255)."""

    name, title, order = "importance", "Which decisions mattered", 50
    how_to_read = (
        "Share of the variation between good and other trials that a parameter explains; the note says what was better."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        shares = sampling.importances(study.trials, maximize=study.maximize)
        if not shares or sum(shares.values()) <= 0:
            return None
        done = from_best_to_worst(study)
        rows = [Row(name.split(".")[0], name, share, direction(name, done, study)) for name, share in shares.items()]
        totals: dict[str, float] = defaultdict(float)
        for row in rows:
            totals[row.decision] += row.share
        ordered = tuple(sorted(totals.items(), key=lambda item: -item[1]))
        return Rows(tuple(sorted(rows, key=lambda row: -row.share)), ordered, len(done))

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence(
                "Too few complete trials, or too little difference between them, to judge importance."
            )
        shown = rows.parameters[:14][::-1]
        decisions = [name for name, _ in rows.decisions]
        palette = [theme.BLUE, theme.ORANGE, theme.GREEN, theme.PURPLE, theme.SKY, theme.RED, theme.YELLOW, theme.GREY]
        figure = go.Figure(
            go.Bar(
                x=[row.share for row in shown],
                y=[row.parameter for row in shown],
                orientation="h",
                marker={"color": [palette[decisions.index(row.decision) % len(palette)] for row in shown]},
                text=[f" {row.share:.0%}  {row.direction}" for row in shown],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{x:.1%}<extra></extra>",
            )
        )
        figure = theme.styled(figure, height=90 + 28 * len(shown), x=f"importance (from {rows.trials} trials)")
        figure.update_xaxes(tickformat=".0%", range=[0, max(row.share for row in shown) * 1.6 + 0.01])
        return figure


def from_best_to_worst(study: StudyRecord) -> list[TrialRecord]:
    """Return complete trials from best to worst, then pruned ones likewise."""
    sign = -1.0 if study.maximize else 1.0
    pruned = [trial for trial in study.trials if trial.state is TrialState.PRUNED and trial.value is not None]
    return [*study.ranking, *sorted(pruned, key=lambda trial: (sign * (trial.value or 0.0), trial.number))]


def direction(name: str, done: list[TrialRecord], study: StudyRecord) -> str:
    """Return what the better half of the trials had of a parameter, in words; empty when it makes no difference."""
    having = [trial for trial in done if name in trial.params]
    if len(having) < 4:
        return ""
    values = [trial.params[name] for trial in having]
    if all(isinstance(value, int | float) and not isinstance(value, bool) for value in values):
        better = _rank_correlation([float(value) for value in values])
        return "" if abs(better) < 0.2 else "higher is better" if better > 0 else "lower is better"
    groups: dict[str, list[float]] = defaultdict(list)
    for trial in having:
        groups[str(trial.params[name])].append(trial.value or 0.0)
    means = {text: sum(found) / len(found) for text, found in groups.items()}
    if len(means) < 2:
        return ""
    return f"best: {(max if study.maximize else min)(means, key=lambda text: means[text])}"


def _rank_correlation(best_first: list[float]) -> float:
    """Return Spearman's correlation between a parameter and quality, given its values from best to worst trial."""
    count = len(best_first)
    order = sorted(range(count), key=lambda place: best_first[place])
    ranks = [0.0] * count
    place = 0
    while place < count:
        end = place
        while end + 1 < count and best_first[order[end + 1]] == best_first[order[place]]:
            end += 1
        for tied in order[place : end + 1]:
            ranks[tied] = (place + end) / 2
        place = end + 1
    middle = (count - 1) / 2
    spread = sum((rank - middle) ** 2 for rank in ranks)
    quality = [count - 1 - index for index in range(count)]
    total = sum((value - middle) ** 2 for value in quality)
    if not spread or not total:
        return 0.0
    return float(
        sum((rank - middle) * (value - middle) for rank, value in zip(ranks, quality, strict=True))
        / (spread * total) ** 0.5
    )


figure = Importance()
