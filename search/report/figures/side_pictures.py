"""The validation samples on which chosen trials do worst."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

import plotly.graph_objects as go

from search.records.study import Picture, StudyRecord
from search.report import theme
from search.report.figures._base import Need, Section, TrialsFigure
from search.report.figures._gallery import SHOWN, gallery


class Rows(NamedTuple):
    """Samples, each with its trial in the caption if there are several."""

    pictures: tuple[Picture, ...]
    classes: tuple[str, ...]


class SidePictures(TrialsFigure):
    """Where chosen trials err."""

    name, title, order, section = "side_pictures", "Validation samples", 306, Section.CLASSES
    needs = frozenset({Need.DETAILS})
    how_to_read = (
        "The samples that each trial does worst on, true and predicted side by side; dotted boxes have no counterpart "
        "that overlaps by half or more."
    )

    def rows(self, study: StudyRecord, numbers: Sequence[int]) -> Rows | None:
        wanted = set(numbers)
        chosen = [trial for trial in study.trials if trial.number in wanted and trial.evaluation]
        chosen = [trial for trial in chosen if trial.evaluation and trial.evaluation.pictures]
        each = max(SHOWN // max(len(chosen), 1), 1)
        pictures = [
            replace(picture, caption=f"trial {trial.number}: {picture.caption}") if len(chosen) > 1 else picture
            for trial in chosen[:SHOWN]
            if trial.evaluation is not None
            for picture in trial.evaluation.pictures[:each]
        ]
        return Rows(tuple(pictures), study.dataset.classes) if pictures else None

    def draw(self, rows: Rows | None) -> go.Figure:
        if rows is None:
            return theme.sentence("None of these trials has samples recorded to look at.")
        return gallery(rows.pictures, rows.classes)


figure = SidePictures()
