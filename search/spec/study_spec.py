"""A checked study file, in the form that the rest of the package uses."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from search.records.objectives import Goals, goals
from search.records.study import Json
from search.spec.faults import FaultOptions
from search.spec.search_options import SearchOptions
from search.tasks import tasks
from search.training.options import TrainingOptions


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A checked study file.

    Attributes:
        data: options of the data format named ``data_format``.
        space: decision name -> its range; decisions that are not here keep the plain recipe's value.
        backbone: the first of several, ``backbones``, among which the search chooses.
        objective: the first objective, a metric of the task; ``goals`` has all of them, and the constraints.
        keep_checkpoints: how many of the best trials keep their weights.
        faults: how dying workers and failing trials are handled.
        task_options: the section under the task's own name; None for a task without options.
        text: the file verbatim; ``base`` is the folder that relative paths start from.
    """

    name: str
    task: str
    data_format: str
    data: Any
    backbone: str
    weights: str
    input_size: tuple[int, int] | None
    space: Mapping[str, Any]
    training: TrainingOptions
    search: SearchOptions
    objective: str
    keep_checkpoints: int
    faults: FaultOptions = field(default_factory=FaultOptions)
    wanted: Goals | None = None
    backbones: tuple[str, ...] = ()
    task_options: Any = None
    text: str = ""
    base: Path = field(default_factory=Path.cwd)

    @property
    def maximize(self) -> bool:
        return tasks()[self.task].directions[self.objective]

    @property
    def goals(self) -> Goals:
        return self.wanted or goals(self.objective, None, None, None, tasks()[self.task].directions)

    def to_json(self) -> dict[str, Json]:
        """Return the whole spec as plain data; ``load.from_data`` reads it back."""
        data = {"format": self.data_format} | plain(self.data)
        search = plain(self.search)
        return {
            "name": self.name,
            "task": self.task,
            "data": data,
            "backbone": list(self.backbones) or self.backbone,
            "weights": self.weights,
            "input_size": list(self.input_size) if self.input_size else None,
            "space": {name: plain(within) for name, within in self.space.items()},
            "training": plain(self.training),
            "search": search,
            "objective": self.objective,
            **self.goals.to_json(),
            "keep_checkpoints": self.keep_checkpoints,
            "faults": plain(self.faults),
            **({self.task: plain(self.task_options)} if self.task_options is not None else {}),
        }


def plain(options: Any) -> dict[str, Json]:
    """Return a dataclass of options as plain data."""
    data: dict[str, Json] = json.loads(json.dumps(asdict(options), default=str))
    return data
