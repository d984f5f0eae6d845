"""The interface of data formats."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import replace
from pathlib import Path
from typing import Any, ClassVar

from search.data.sample import Dataset
from search.errors import BrokenSamplesError, DataError

_SHOWN = 3


class Format(ABC):
    """A way in which labelled data are stored. Each file of this package ends with ``format = ...()``.

    Class attributes:
        name: the file's name and the value of ``data.format`` in a study file.
        options: a frozen dataclass with what a study file says about it (path, split shares, seed ...), which
            validates itself and forbids unknown keys.
        suffixes: extensions, in lower case, of ``data.path`` by which the format is recognised.
    """

    name: ClassVar[str]
    options: ClassVar[type[Any]]
    suffixes: ClassVar[tuple[str, ...]] = ()

    def load(self, options: Any, base: Path) -> Dataset:
        """Return the data set, as ``read`` does.

        If too little is left once faulty samples are skipped, the error names the first of them: they are the cause.

        Raises:
            DataError: as in ``read``.
        """
        try:
            return self.read(options, base)
        except DataError as consequence:
            causes = self._faults(options, base)
            if not causes or any(line in str(consequence) for line in causes[:_SHOWN]):
                raise
            more = f"; and {len(causes) - _SHOWN} more" if len(causes) > _SHOWN else ""
            raise DataError(
                f"{consequence}. {len(causes)} fault{'s were' if len(causes) > 1 else ' was'} left out: "
                f"{'; '.join(causes[:_SHOWN])}{more}"
            ) from consequence

    def _faults(self, options: Any, base: Path) -> tuple[str, ...]:
        """Return the faults that ``read`` would refuse if ``on_error`` were ``refuse``."""
        if getattr(options, "on_error", "refuse") != "skip":
            return ()
        try:
            self.read(replace(options, on_error="refuse"), base)
        except BrokenSamplesError as error:
            return error.lines
        except DataError as error:
            return (str(error),)
        return ()

    @abstractmethod
    def read(self, options: Any, base: Path) -> Dataset:
        """Return the data set with every sample checked to decode; relative paths start at ``base``.

        Raises:
            DataError: missing, empty, unreadable, mislabelled: one line that names file or row,
                what was expected and what to do.
        """
