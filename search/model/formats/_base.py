"""The interface of model formats: each writes a network to a file and opens that file as a network."""

from __future__ import annotations

import warnings
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor, nn
from torch.export import Dim

from search.errors import RunError
from spaces.errors import first_line

Rebuild = Callable[[Mapping[str, Tensor]], nn.Module]
"""Rebuilds the network around named weights."""


@dataclass(frozen=True, slots=True)
class Signature:
    """The signature of a network's call.

    Attributes:
        varying: axes of its input whose length is free, by name, from the first on; ``most`` the largest of each, None
            for any.
        outputs: names of the tensors it gives; one alone comes as it is, several as a tuple.
    """

    varying: tuple[str, ...] = ("batch",)
    most: tuple[int | None, ...] = (None,)
    outputs: tuple[str, ...] = ("outputs",)

    def shapes(self) -> tuple[dict[int, Any]]:
        """Return it in the form that ``torch.export`` takes."""
        axes = zip(self.varying, self.most, strict=True)
        return ({index: Dim(name, max=most) for index, (name, most) in enumerate(axes)},)


PLAIN = Signature()


class ModelFormat(ABC):
    """A file format for models. A file of this room ends with ``model_format = ...()``.

    Class attributes:
        name: the file's name and the value of ``--format``.
        file_name: in the model's folder.
        rank: the lowest of those that are there is opened when none is asked for.
        holds: ``graph``, or ``weights`` alone.
        runs_code: whether opening a file can run code that its maker put there; assumed until a format says otherwise.
        moves: whether the opened network can be moved to another device.
        tolerance: largest difference of an output that is rounding, relative to the largest output.
        needs: what a program must import to use the file, for its README.
    """

    name: ClassVar[str]
    file_name: ClassVar[str]
    rank: ClassVar[int]
    holds: ClassVar[str] = "graph"
    runs_code: ClassVar[bool] = True
    moves: ClassVar[bool] = False
    tolerance: ClassVar[float] = 1e-4
    needs: ClassVar[str]

    def requirement(self) -> str:
        """Return the command that installs what this format needs; empty when it is there."""
        return ""

    @abstractmethod
    def write(
        self, network: Any, example: Tensor, path: Path, facts: Mapping[str, str], signature: Signature = PLAIN
    ) -> None:
        """Write ``network``, in eval mode on the CPU, to ``path``.

        Args:
            network: an ``InferenceNetwork`` for a format that holds weights, else any module of tensors.
            example: inputs ``(N, *shape)`` with ``N`` above 1; any other number must run afterwards.
            facts: further texts to keep inside of the file, by name.
            signature: how the network is called.

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

        ``facts`` has ``shape``, the input's shape without the batch, as ``3, 224, 224``; where they are not the usual
        ones also ``dtype`` of the input, the names of ``outputs`` as ``boxes, scores, labels``, ``free`` (what may be
        of any length), ``import`` (a module that brings operators), and ``reads``: ``images`` or ``tokens``.
        """


@contextmanager
def refused(name: str) -> Iterator[None]:
    """Turn an exporter's exceptions into one line, and keep its warnings and notes off the screen.

    Raises:
        RunError: the network cannot be written in the format ``name``.
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of the exporters' own insides
            yield
    except Exception as error:  # exporters run the network's code, which may fail in any way
        cause = error.__cause__ or error  # exporters tell their own steps first
        reason = f"this network cannot be written as {name}: {first_line(cause)}; leave that format out"
        raise RunError(reason) from error


def example_of(inputs: Tensor) -> Tensor:
    """Return two of ``inputs`` ``(N, *shape)``: from one alone an exporter takes it that there is never more."""
    two = inputs[:2] if len(inputs) > 1 else inputs.repeat(2, *[1] * (inputs.ndim - 1))
    return two.clone()  # a view would take all inputs with it into the file


def torch_snippet(opening: str, facts: Mapping[str, str]) -> str:
    """Return lines of Python that open a file by ``opening`` and run it with torch."""
    needed = f"import {facts['import']}  # brings operators of the file\n" if facts.get("import") else ""
    kind = f", dtype=torch.{facts['dtype']}" if facts.get("dtype") else ""
    return (
        f"import torch\n{needed}\n"
        f"network = {opening}\n"
        f"{facts.get('outputs', 'outputs')} = network(torch.zeros(1, {facts['shape']}{kind}))   "
        f"# {facts.get('free', 'any batch size')}\n"
    )
