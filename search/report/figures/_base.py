"""What every figure is: numbers from a study's records, then a drawing of them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import Any, ClassVar

import plotly.graph_objects as go

from search.records import StudyRecord


class Figure(ABC):
    """One figure. A file of this room defines one and ends with ``figure = ...()``.

    Class attributes:
        name: the file's name.
        title: above the figure; ``how_to_read`` one line below it.
        order: figures of a report stand in this order.
    """

    name: ClassVar[str]
    title: ClassVar[str]
    how_to_read: ClassVar[str]
    order: ClassVar[int]

    @abstractmethod
    def rows(self, study: StudyRecord) -> Any:
        """Return the numbers that are drawn; None when there is nothing to draw."""

    @abstractmethod
    def draw(self, rows: Any) -> go.Figure:
        """Return the drawing of ``rows``; a sentence when there is nothing to draw."""
