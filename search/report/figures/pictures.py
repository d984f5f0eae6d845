"""The winner's predictions beside the truth."""

from __future__ import annotations

from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import Picture, StudyRecord
from search.report import theme
from search.report.figures._base import Figure, Need, Section
from search.report.figures._gallery import SHOWN, gallery


class Rows(NamedTuple):
    """The winner's validation samples, the worst first."""

    number: int
    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]


class Pictures(Figure):
    """The validation samples on which the winner does worst."""

    name, title, order, section = "pictures", "Where the winner errs", 118, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = (
        "Validation samples, the worst first. Of boxes, solid ones agree with the other side (overlap of half or "
        "more, same class) and dotted ones do not; point at a box for its class and score."
    )

    def rows(self, study: StudyRecord) -> Rows | None:
        best = study.best
        if best is None or best.evaluation is None or not best.evaluation.pictures:
            return None
        return Rows(best.number, best.evaluation.pictures[:SHOWN], study.dataset.classes)

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("No samples of the winner are recorded to look at.")
        return gallery(rows.pictures, rows.classes)


figure = Pictures()
