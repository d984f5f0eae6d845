"""How well backbones suit the data, against their cost, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.backbone_ranking import BackboneScore, Ranking
from search.report import theme, wording
from search.report.figures._base import RankingFigure, Section

_COSTS: tuple[tuple[str, Callable[[BackboneScore], float]], ...] = (
    ("FLOPs", lambda backbone_score: float(backbone_score.flops)),
    ("parameters", lambda backbone_score: float(backbone_score.parameters)),
    ("latency in ms", lambda backbone_score: backbone_score.latency_ms),
)


class Plane(NamedTuple):
    """One estimator against one cost; ``front`` are the indices of backbones that no other beats in both."""

    score: str
    cost: str
    names: tuple[str, ...]
    costs: tuple[float, ...]
    scores: tuple[float, ...]
    front: tuple[int, ...]


class RankingCost(RankingFigure):
    """Scores against FLOPs, parameters and latency."""

    name, title, order, section = "ranking_cost", "Score against cost", 400, Section.COST
    how_to_read = "Each point is a backbone, not trained yet; the line joins those that no other beats in both."

    def rows(self, ranking: Ranking) -> tuple[Plane, ...] | None:
        planes = []
        for name, title in ranking.titles.items():
            scored = [
                backbone_score
                for backbone_score in ranking.backbone_scores
                if wording.finite(backbone_score.scores.get(name))
            ]
            for cost, read in _COSTS if scored else ():
                costs, scores = (
                    tuple(map(read, scored)),
                    tuple(backbone_score.scores[name] for backbone_score in scored),
                )
                names = tuple(backbone_score.label for backbone_score in scored)
                planes.append(Plane(title, cost, names, costs, scores, _front(costs, scores)))
        return tuple(planes) or None

    def draw(self, rows: tuple[Plane, ...] | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No backbone could be scored.")
        figure, sets = go.Figure(), []
        for index, plane in enumerate(rows):
            sets += [index, index]
            figure.add_scatter(
                x=[plane.costs[point] for point in plane.front],
                y=[plane.scores[point] for point in plane.front],
                mode="lines",
                line={"color": theme.PURPLE, "shape": "hv", "width": 2},
                hoverinfo="skip",
                name="not beaten in both",
                visible=index == 0,
            )
            figure.add_scatter(
                x=plane.costs,
                y=plane.scores,
                text=plane.names,
                mode="markers+text" if len(plane.names) <= 20 else "markers",
                textposition="top center",
                marker={"color": theme.BLUE, "size": 10},
                hovertemplate=f"%{{text}}: {plane.score} %{{y:.4f}}, %{{x:.4s}} {plane.cost}<extra></extra>",
                name="backbone",
                visible=index == 0,
            )
        figure = theme.styled(figure, x=rows[0].cost, y=rows[0].score)
        figure.update_xaxes(type="log")
        figure.update_traces(cliponaxis=False)
        views = [
            (
                f"{plane.score} against {plane.cost}",
                theme.visible_only(sets, index),
                {
                    "xaxis.title.text": plane.cost,
                    "yaxis.title.text": plane.score,
                    "xaxis.autorange": True,
                    "yaxis.autorange": True,
                },
            )
            for index, plane in enumerate(rows)
        ]
        return theme.menu(figure, views)


def _front(costs: tuple[float, ...], scores: tuple[float, ...]) -> tuple[int, ...]:
    best, front = float("-inf"), []
    for index in sorted(range(len(costs)), key=lambda index: (costs[index], -scores[index])):
        if scores[index] > best:
            best = scores[index]
            front.append(index)
    return tuple(front)


figure = RankingCost()
