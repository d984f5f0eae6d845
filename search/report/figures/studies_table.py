"""Data sets against backbones: the best value of every study."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import StudyRecord
from search.report import theme, wording
from search.report.figures._base import Section, StudiesFigure


class Cell(NamedTuple):
    """The best study of one data set, backbone and metric."""

    dataset: str
    backbone: str
    study: str
    value: float
    gain: float | None


class Rows(NamedTuple):
    """Cells by metric; every metric has a table of its own."""

    tables: tuple[tuple[str, bool, tuple[Cell, ...]], ...]


class StudiesTable(StudiesFigure):
    """Which pretrained network suits which data."""

    name, title, order, section = "studies_table", "Data sets and backbones", 202, Section.PROGRESS
    how_to_read = (
        "The best value of all studies of a data set (row) with a backbone (column), and its lead over the plain "
        "recipe."
    )

    def rows(self, studies: Sequence[StudyRecord]) -> Rows | None:
        best: dict[tuple[str, bool], dict[tuple[str, str], Cell]] = {}
        for study in studies:
            winner, plain = study.best, study.baseline
            if winner is None or winner.value is None:
                continue
            lead = None
            if plain is not None and plain.value is not None:
                lead = winner.value - plain.value if study.maximize else plain.value - winner.value
            cell = Cell(study.dataset.name, study.backbone, study.name, winner.value, lead)
            table = best.setdefault((study.metric, study.maximize), {})
            key = (cell.dataset, cell.backbone)
            if key not in table or study.is_better(cell.value, table[key].value):
                table[key] = cell
        tables = tuple((metric, maximize, tuple(table.values())) for (metric, maximize), table in best.items())
        return Rows(tables) if tables else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No study has a complete trial yet.")
        figure, tallest = go.Figure(), 1
        for index, (metric, maximize, cells) in enumerate(rows.tables):
            datasets = sorted({cell.dataset for cell in cells})
            backbones = sorted({cell.backbone for cell in cells})
            by_key = {(cell.dataset, cell.backbone): cell for cell in cells}
            grid = [[by_key.get((dataset, backbone)) for backbone in backbones] for dataset in datasets]
            tallest = max(tallest, len(datasets))
            figure.add_heatmap(
                z=[[cell.value if cell else None for cell in row] for row in grid],
                x=backbones,
                y=datasets,
                text=[[_text(cell, metric) for cell in row] for row in grid],
                texttemplate="%{text}",
                customdata=[[cell.study if cell else "" for cell in row] for row in grid],
                hovertemplate="%{y}, %{x}<br>study %{customdata}: %{text}<extra></extra>",
                colorscale=theme.SCALE,
                reversescale=not maximize,
                xgap=2,
                ygap=2,
                visible=index == 0,
                colorbar={"title": {"text": wording.metric_name(metric)}, "thickness": 12},
            )
        figure = theme.styled(figure, height=170 + 56 * tallest)
        figure.update_xaxes(type="category", showgrid=False)
        figure.update_yaxes(type="category", showgrid=False)
        sets = list(range(len(rows.tables)))
        views = [
            (wording.metric_name(metric), theme.visible_only(sets, index), {"xaxis.autorange": True})
            for index, (metric, _, _) in enumerate(rows.tables)
        ]
        return theme.menu(figure, views)


def _text(cell: Cell | None, metric: str) -> str:
    if cell is None:
        return ""
    return wording.number(cell.value) + (f"<br>{wording.change(cell.gain, metric)}" if cell.gain is not None else "")


figure = StudiesTable()
