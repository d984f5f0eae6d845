"""The interface of data formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from pathlib import Path
from typing import Any, ClassVar

from search.data.sample import Dataset


class Format(ABC):
    """One way in which labelled data are stored. A file of this room ends with ``format = ...()``.

    Class attributes:
        name: the file's name and the value of ``data.format`` in a study file.
        options: a frozen dataclass with what a study file says about it (path, split shares, seed ...),
            checked by itself; it forbids unknown keys.
        suffixes: endings of the file that ``data.path`` names, in lower case, by which the format is known.
    """

    name: ClassVar[str]
    options: ClassVar[type[Any]]
    suffixes: ClassVar[tuple[str, ...]] = ()

    @abstractmethod
    def read(self, options: Any, base: Path) -> Dataset:
        """Return the data set with every sample checked to decode; relative paths start at ``base``.

        Raises:
            DataError: missing, empty, unreadable, mislabelled: one line that names file or row,
                what was expected and what to do.
        """
