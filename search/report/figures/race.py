"""The best value so far of several studies, on the same axes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.figures._base import Section, StudiesFigure
from search.report.figures._progress import AXES, progress, steps


class Line(NamedTuple):
    """One study: its best value after each improvement; ``axes`` holds x by trials, wall time and device time."""

    name: str
    metric: str
    axes: tuple[tuple[float, ...], ...]
    best: tuple[float, ...]


class Rows(NamedTuple):
    """One line per study with a complete trial."""

    lines: tuple[Line, ...]


class Race(StudiesFigure):
    """How far each study got, and at what cost."""

    name, title, order, section = "race", "Best so far, study by study", 200, Section.PROGRESS
    how_to_read = "One line per study. Compare only lines of the same data and metric; the axis can be changed."

    def rows(self, studies: Sequence[StudyRecord]) -> Rows | None:
        lines = []
        for study in studies:
            seen = progress(study)
            places = steps(seen.best) if seen else []
            if seen and places:
                axes = tuple(tuple(axis[index] for index in places) for axis in seen.axes)
                lines.append(Line(study.name, study.metric, axes, tuple(seen.best[index] or 0.0 for index in places)))
        return Rows(tuple(lines)) if lines else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No study has a complete trial yet.")
        figure = go.Figure()
        for index, line in enumerate(rows.lines):
            figure.add_scatter(
                x=line.axes[0],
                y=line.best,
                mode="lines",
                name=line.name,
                line={**theme.series(index), "shape": "hv", "width": 3},
                hovertemplate=f"{theme.wrapped(line.name)}: %{{y:.4f}} at %{{x:.1f}}<extra></extra>",
            )
        metrics = sorted({wording.metric_name(line.metric) for line in rows.lines})
        views = [
            (label, {"x": [line.axes[index] for line in rows.lines]}, {"xaxis.title.text": title})
            for index, (label, title) in enumerate(AXES)
        ]
        return theme.menu(theme.styled(figure, x=AXES[0][1], y=" / ".join(metrics)), views)


figure = Race()
