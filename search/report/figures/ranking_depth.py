"""The depth at which a backbone's features suit the data best."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.backbone_ranking import Ranking
from search.report import theme, wording
from search.report.figures._base import RankingFigure, Section

_MOST = 12
"""Most backbones drawn, the best ones: more lines cannot be told apart."""


class Line(NamedTuple):
    """One backbone: depths from 0 to 1, with the unit and the score at each."""

    label: str
    depths: tuple[float, ...]
    units: tuple[str, ...]
    scores: tuple[float, ...]


class Rows(NamedTuple):
    """The lines of one estimator."""

    score: str
    lines: tuple[Line, ...]


class RankingDepth(RankingFigure):
    """Scores of the layers of the best backbones."""

    name, title, order, section = "ranking_depth", "Score by depth", 410, Section.STRUCTURE
    how_to_read = (
        "0 is the image, 1 the last unit before the classifier. Where a line falls again, the last units know more of "
        "ImageNet than of this data: fewer frozen or dropped ones there are worth a try."
    )

    def rows(self, ranking: Ranking) -> tuple[Rows, ...] | None:
        by_estimator = []
        for name, title in ranking.titles.items():
            lines = []
            for backbone_score in ranking.backbone_scores[:_MOST]:
                layers = [layer for layer in backbone_score.layers if wording.finite(layer.scores.get(name))]
                if layers:
                    lines.append(
                        Line(
                            backbone_score.label,
                            tuple(layer.depth for layer in layers),
                            tuple(layer.unit for layer in layers),
                            tuple(layer.scores[name] for layer in layers),
                        )
                    )
            if lines:
                by_estimator.append(Rows(title, tuple(lines)))
        return tuple(by_estimator) or None

    def draw(self, rows: tuple[Rows, ...] | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No layer was scored.")
        figure, sets = go.Figure(), []
        for index, group in enumerate(rows):
            for number, line in enumerate(group.lines):
                sets.append(index)
                look = theme.series(number)
                best = max(range(len(line.scores)), key=line.scores.__getitem__)
                figure.add_scatter(
                    x=line.depths,
                    y=line.scores,
                    text=line.units,
                    mode="lines+markers",
                    line={**look, "width": 2},
                    marker={"size": [12 if point == best else 6 for point in range(len(line.scores))]},
                    hovertemplate=f"{line.label} behind %{{text}}: {group.score} %{{y:.4f}}<extra></extra>",
                    name=line.label,
                    visible=index == 0,
                )
        figure = theme.styled(figure, x="depth", y=rows[0].score)
        figure.update_xaxes(range=[0, 1.03])
        views = [
            (
                group.score,
                theme.visible_only(sets, index),
                {"yaxis.title.text": group.score, "yaxis.autorange": True},
            )
            for index, group in enumerate(rows)
        ]
        return theme.menu(figure, views)


figure = RankingDepth()
