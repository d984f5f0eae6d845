"""The result of detection: task and format of data on disk, and the data set read from them."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path

from search.data.formats import formats
from search.data.sample import Dataset
from search.records.study import Json


@dataclass(frozen=True, slots=True)
class Recognised:
    """Task and format of data on disk.

    Attributes:
        task, format: names of the registries.
        why: the evidence, shown to users: ``Annotations/*.xml``.
        path: the folder or file that the format reads; it may be inside the folder that was examined.
        options: of the format, if they differ from its defaults.
    """

    task: str
    format: str
    why: str
    path: Path
    options: dict[str, Json] = field(default_factory=dict)

    def read(self) -> Dataset:
        """Return the data set without its broken samples, but with a list of them.

        Raises:
            DataError: too little can be read; names the first errors with file and line.
        """
        kind = formats()[self.format]
        given = {key: tuple(value) if isinstance(value, list) else value for key, value in self.options.items()}
        return kind.load(kind.options(path=str(self.path.absolute()), on_error="skip", **given), Path.cwd())
