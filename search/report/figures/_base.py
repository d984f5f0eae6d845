"""The interface of figures: numbers from records, then a drawing of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from enum import StrEnum
from typing import Any, ClassVar

import plotly.graph_objects as go

from search.records.backbone_ranking import Ranking
from search.records.study import StudyRecord


class Section(StrEnum):
    """The sections of a page, in order."""

    PROGRESS = "progress"
    TRIALS = "trials"
    STRUCTURE = "structure"
    DECISIONS = "decisions"
    COST = "cost"
    CLASSES = "classes"
    WORKERS = "workers"


class Need(StrEnum):
    """Data that ``rows`` needs besides a trial's outline; the dashboard fetches only what a figure needs."""

    CURVES = "curves"
    """The epochs of some hundred trials."""
    DETAILS = "details"
    """Structures and evaluations of the best trials and the baseline."""
    EPOCHS = "epochs"
    """The number of epochs that each trial ran."""
    STRUCTURES = "structures"
    """What was done with every unit, of all trials."""
    SPACES = "spaces"
    """The range that each parameter was drawn from."""


class Drawing(ABC):
    """The common part of figures of one study, of several studies and of chosen trials.

    Each file of this package defines one figure and ends with ``figure = ...()``.

    Class attributes:
        name: the file's name.
        title: above the figure; ``how_to_read`` one line below it.
        order: sort key among the figures of a page.
        least_width: pixels below which it cannot be read.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    how_to_read: ClassVar[str]
    order: ClassVar[int]
    section: ClassVar[Section] = Section.PROGRESS
    needs: ClassVar[frozenset[Need]] = frozenset()
    least_width: ClassVar[int] = 0

    def narrowest(self, drawing: go.Figure) -> int:
        """Return the pixels below which ``drawing`` cannot be read; a narrower page scrolls it sideways."""
        return self.least_width

    @abstractmethod
    def draw(self, rows: Any) -> go.Figure:
        """Return the drawing of ``rows``; a sentence if there is nothing to draw.

        A drawing with several views has a menu (``theme.menu``), which pages replace by a control of their own.
        """


class Figure(Drawing):
    """A figure of one study."""

    def is_for(self, study: StudyRecord) -> bool:
        """Return whether there may be anything to draw, now or when further trials have ended; reads no trial."""
        return True

    @abstractmethod
    def rows(self, study: StudyRecord) -> Any:
        """Return the numbers to draw; None if there is nothing to draw."""


class StudiesFigure(Drawing):
    """A figure that compares studies."""

    @abstractmethod
    def rows(self, studies: Sequence[StudyRecord]) -> Any:
        """Return the numbers to draw; None if there is nothing to draw."""


class TrialsFigure(Drawing):
    """A figure that shows chosen trials of one study side by side."""

    @abstractmethod
    def rows(self, study: StudyRecord, numbers: Sequence[int]) -> Any:
        """Return the numbers to draw; None if there is nothing to draw."""


class RankingFigure(Drawing):
    """A figure of backbones scored without training."""

    @abstractmethod
    def rows(self, ranking: Ranking) -> Any:
        """Return the numbers to draw; None if there is nothing to draw."""
