"""What was measured: one run per line of the JSON file, found again by what was asked for."""

from __future__ import annotations

import json
import os
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path


@dataclass(frozen=True)
class Question:
    """One contender on one set under one budget; the same for all but its name."""

    set: str
    contender: str
    budget_s: float
    seed: int
    backbone: str
    input_size: int
    threads: int


@dataclass(frozen=True)
class Run:
    """What came of it.

    Attributes:
        hits: test images that were named rightly, of ``images``.
        cpu_s: CPU seconds of the process tree until the model was there.
        load: of the machine when the run began (mean of the last minute).
        parts: where the CPU seconds went, by name, where that is known.
        facts: what else is worth keeping (trials by outcome, the winner in words).
        failure: why there is no model.
        score: another metric than the share of ``hits``, between 0 and 1; None where that share is what counts.
    """

    asked: Question
    hits: int
    images: int
    cpu_s: float
    wall_s: float
    load: float
    version: str
    parts: dict[str, float] = field(default_factory=dict)
    facts: dict[str, object] = field(default_factory=dict)
    failure: str = ""
    score: float | None = None

    @property
    def accuracy(self) -> float:
        """Test accuracy, or the ``score`` in its place; 0 without a model."""
        if self.score is not None:
            return self.score
        return self.hits / self.images if self.images else 0.0

    @property
    def overrun_s(self) -> float:
        """CPU seconds beyond the budget."""
        return max(0.0, self.cpu_s - self.asked.budget_s)


def read(path: Path) -> list[Run]:
    """Return the runs of a file; none where there is no file."""
    if not path.exists():
        return []
    return [Run(**{**entry, "asked": Question(**entry["asked"])}) for entry in json.loads(path.read_text())["runs"]]


def write(path: Path, runs: Iterable[Run]) -> None:
    """Write all runs at once: a kill leaves the file as it was before or as it is after."""
    text = json.dumps({"runs": [asdict(run) for run in runs]}, indent=1) + "\n"
    partial = path.with_name(f"{path.name}.{os.getpid()}")
    with partial.open("w") as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    partial.replace(path)


def complete(
    path: Path, questions: Sequence[Question], answer: Callable[[Question], Run], again: Sequence[str] = ()
) -> list[Run]:
    """Return a run for every question: those in the file, and new ones, each written as soon as it is there.

    Args:
        again: contenders whose runs in the file are replaced.
    """
    asked = set(questions)
    runs = [run for run in read(path) if not (run.asked in asked and run.asked.contender in again)]
    known = {run.asked for run in runs}
    for question in questions:
        if question not in known:
            runs.append(answer(question))
            write(path, runs)
    return [run for run in runs if run.asked in asked]
