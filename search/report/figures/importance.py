"""How much each decision matters, and in which direction."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Literal, NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord, TrialRecord
from search.report import effects, parameters, shown_trials, theme, wording
from search.report.figures._base import Figure, Need, Section
from search.sampling.importance import importances


class Row(NamedTuple):
    """One parameter: its share of the objective's variation, and which values tend to be better."""

    decision: str
    parameter: str
    share: float
    direction: str


class Rows(NamedTuple):
    """Parameters by importance, for each evaluator, and the sums by decision.

    Attributes:
        views: evaluator -> parameters, the most important first; evaluators without a result are left out.
        trials: number of trials that each evaluator used.
    """

    views: dict[str, tuple[Row, ...]]
    decisions: tuple[tuple[str, float], ...]
    trials: dict[str, int]

    @property
    def parameters(self) -> tuple[Row, ...]:
        """The parameters in the order of the first evaluator."""
        return next(iter(self.views.values()))


_JUDGES: tuple[tuple[str, Literal["ped_anova", "fanova"], int], ...] = (
    ("PED-ANOVA", "ped_anova", 1000),
    ("fANOVA", "fanova", 200),
)
"""Name, evaluator, and the most trials it is given: with more, fANOVA's forest takes seconds."""


class Importance(Figure):
    """PED-ANOVA (https://arxiv.org/abs/2304.10255) and fANOVA (https://proceedings.mlr.press/v32/hutter14.html)."""

    name, title, order, section = "importance", "Which decisions mattered", 50, Section.DECISIONS
    needs = frozenset({Need.SPACES, Need.EPOCHS})
    least_width = 640
    how_to_read = (
        "Share of the variation between complete and pruned trials that a parameter explains, by two methods; where "
        "they disagree, believe neither. The note says what was better among complete trials of equal epochs, at least "
        "five a side."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        done = effects.comparable(study)
        views, trials = {}, {}
        for label, evaluator, most in _JUDGES:
            judged = shown_trials.with_values(study, most)
            shares = importances(judged, maximize=study.maximize, evaluator=evaluator)
            if not shares or sum(shares.values()) <= 0:
                continue
            rows = [Row(_decision(name), name, share, _direction(study, name, done)) for name, share in shares.items()]
            views[label] = tuple(sorted(rows, key=lambda row: -row.share))
            trials[label] = len(judged)
        if not views:
            return None
        totals: dict[str, float] = defaultdict(float)
        for row in next(iter(views.values())):
            totals[row.decision] += row.share
        return Rows(views, tuple(sorted(totals.items(), key=lambda item: -item[1])), trials)

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence(
                "Too few complete and pruned trials, or too little difference between them, to judge importance."
            )
        figure, changes, longest = go.Figure(), [], 0
        for label, judged in rows.views.items():
            shown = judged[:14][::-1]
            longest = max(longest, len(shown))
            axis = {
                "xaxis.range": [0, 160 * max(row.share for row in shown) + 1],
                "xaxis.title.text": f"importance (from {rows.trials[label]} trials)",
            }
            changes.append((label, axis))
            figure.add_bar(
                x=[100 * row.share for row in shown],
                y=[parameters.label(row.parameter) for row in shown],
                orientation="h",
                marker={"color": theme.BLUE},
                text=[f" {wording.percent(row.share)}  {row.direction}" for row in shown],
                textposition="outside",
                cliponaxis=False,
                hovertemplate="%{y}: %{x:.1f} %<extra></extra>",
                visible=label == next(iter(rows.views)),
                showlegend=False,
            )
        figure = theme.styled(figure, height=90 + 28 * longest)
        figure.update_xaxes(
            ticksuffix=" %", range=changes[0][1]["xaxis.range"], title_text=changes[0][1]["xaxis.title.text"]
        )
        sets = list(range(len(changes)))
        return theme.menu(
            figure, [(label, theme.visible_only(sets, index), axis) for index, (label, axis) in enumerate(changes)]
        )


def _direction(study: StudyRecord, name: str, done: Sequence[TrialRecord]) -> str:
    effect = effects.effect(name, done, maximize=study.maximize)
    return "" if effect is None else str(effect)


def _decision(parameter: str) -> str:
    """Return the decision of ``freeze``, ``optimizer.lr`` or, in a study of several backbones, ``freeze@resnet18``."""
    return parameter.partition("@")[0].partition(".")[0]


figure = Importance()
