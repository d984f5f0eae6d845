"""What every model format is: it writes a network to a file, and opens that file again as a network."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import ClassVar

from torch import Tensor, nn

from search.errors import RunError
from spaces.plain import Plain

Rebuild = Callable[[Mapping[str, Tensor]], nn.Module]
"""Makes the network anew around weights by name."""


class ModelFormat(ABC):
    """One way to keep a model. A file of this room ends with ``model_format = ...()``.

    Class attributes:
        name: the file's name and the value of ``--format``.
        file_name: in the model's folder.
        rank: the lowest of those that are there is opened when none is asked for.
        moves: whether the opened network can be moved to another device.
        tolerance: largest difference of an output that is rounding, relative to the largest output.
        needs: what a program must import to use the file, for its README.
    """

    name: ClassVar[str]
    file_name: ClassVar[str]
    rank: ClassVar[int]
    moves: ClassVar[bool] = False
    tolerance: ClassVar[float] = 1e-4
    needs: ClassVar[str]

    def requirement(self) -> str:
        """Return the command that installs what this format needs; empty when it is there."""
        return ""

    @abstractmethod
    def write(self, network: Plain, example: Tensor, path: Path, facts: Mapping[str, str]) -> None:
        """Write ``network``, in eval mode on the CPU, to ``path``.

        Args:
            example: inputs ``(N, *shape)`` with ``N`` above 1; any other number must run afterwards.
            facts: further texts to keep inside of the file, by name.

        Raises:
            RunError: the network cannot be written in this format; names the reason.
        """

    @abstractmethod
    def open(self, path: Path, rebuild: Rebuild) -> nn.Module:
        """Return the network in the file at ``path``, in eval mode on the CPU.

        Raises:
            UserError: the file cannot be read.
        """

    @abstractmethod
    def snippet(self, facts: Mapping[str, str]) -> str:
        """Return a few lines of Python that run the file without ftsearch where that is possible.

        ``facts`` has ``shape``, the input's shape without the batch, as ``3, 224, 224``.
        """


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Turn whatever an exporter raises into one line, and keep its warnings and notes off the screen.

    Raises:
        RunError: the network cannot be written in the format ``name``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters' own insides
            yield
    except Exception as error:  # exporters run the network's code, which may fail in any way
        cause = error.__cause__ or error  # exporters tell their own steps first
        lines = [line.strip() for line in str(cause).splitlines() if line.strip()]
        reason = lines[0] if lines else type(cause).__name__
        raise RunError(f"this network cannot be written as {name}: {reason}; leave that format out") from error
