"""What every engine does: place workers somewhere and watch over them."""

from __future__ import annotations

from abc import ABC, abstractmethod
from typing import ClassVar


class Engine(ABC):
    """A place where workers run. A file of this room defines one and ends with ``engine = ...``.

    Class attributes:
        name: the file's name and the value of ``--engine``.
    """

    name: ClassVar[str]

    @abstractmethod
    def start(self, count: int) -> None:
        """Start ``count`` workers."""

    @abstractmethod
    def alive(self) -> int:
        """Return how many of them still run."""

    @abstractmethod
    def stop(self) -> None:
        """Tell all of them to finish their step, hand their trial back and leave; wait until they have."""
