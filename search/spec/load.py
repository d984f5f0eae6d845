"""The study file: a model assembled from the registries, all errors reported at once with their lines."""

from __future__ import annotations

import json
import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from search.data import yaml_documents
from search.data.formats import formats
from search.errors import DatabaseError, SpecError, UserError
from search.records import objectives
from search.records.objectives import QUANTISED, ChoiceError, goals
from search.records.study import Json, StudyRecord
from search.spec import yaml_lines
from search.spec.candidates import given
from search.spec.document import document, json_schema
from search.spec.messages import problems
from search.spec.study_spec import StudySpec
from search.tasks import tasks
from search.tasks._base import Task
from spaces import decisions

DEFAULT_SPACE = ("freeze", "tail", "kernel", "stride", "head", "dropout", "penalty", "optimizer")
"""Decisions that are searched when a study file names none."""
_LARGEST = 2**53
_BY_HAND = "its row was changed by hand, or by another version"


def load_spec(path: Path | str) -> StudySpec:
    """Read the study file at ``path``.

    Raises:
        SpecError: the file is missing, not YAML, or wrong; one line for every error.
    """
    path = Path(path)
    try:
        text = yaml_documents.text_of(path)
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the study file {path}: {_reason(error)}") from error
    return parse_spec(text, source=str(path), base=path.absolute().parent)


def parse_spec(text: str, *, source: str = "study file", base: Path | None = None) -> StudySpec:
    """Read a study file from its text; errors call it ``source``."""
    try:
        raw, lines = yaml_lines.load(text)
    except yaml_lines.NotYamlError as error:
        raise SpecError(f"{source}:{error.line}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{source}: expected a mapping with the keys name, data, backbone ..., got {raw!r:.60}")
    faults = [(line, f"{key}: the key is given twice") for key, line in lines.doubled]
    faults += [(lines.of(key), f"{'.'.join(key)}: {problem}") for key, problem in _meaningless(raw)]
    if faults:
        raise _all_of(faults, source)
    try:
        spec = from_data(raw, text=text, base=base)
    except ValidationError as error:
        faults += [(lines.of(loc), problem) for loc, problem in problems(error, _shorthand(raw), json_schema())]
    except (_FaultError, ChoiceError) as error:
        faults.append((lines.of(error.key), f"{'.'.join(error.key)}: {error}"))
    if faults:
        raise _all_of(faults, source)
    return spec


def _all_of(faults: Iterable[tuple[int, str]], source: str) -> SpecError:
    return SpecError("\n".join(f"{source}:{line}: {problem}" for line, problem in sorted(faults)))


def _meaningless(raw: Json, key: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield key and problem of numbers that neither databases nor tensors can hold, or that round to nothing there."""
    if isinstance(raw, float) and not math.isfinite(raw):
        yield key, f"expected a finite number, got {raw}"
    elif isinstance(raw, int | float) and abs(raw) > _LARGEST:
        yield key, "a number that large means nothing here"
    elif isinstance(raw, float) and 0 < abs(raw) < 1 / _LARGEST:
        yield key, f"a number that small means nothing here, got {raw}; write 0 if that is meant"
    for name, inner in raw.items() if isinstance(raw, dict) else enumerate(raw) if isinstance(raw, list) else ():
        yield from _meaningless(inner, (*key, str(name)))


def plan_of(study: StudyRecord) -> tuple[dict[str, Any], Path]:
    """Return the study file of a study in the store, as plain data, and the folder that its paths start at.

    Raises:
        DatabaseError: there is none: whoever shares the database can write anything into it.
    """
    spec = study.spec if isinstance(study.spec, Mapping) else {}
    plan, base = spec.get("study"), spec.get("base")
    if not isinstance(plan, Mapping) or not isinstance(plan.get("data"), Mapping) or not isinstance(base, str):
        raise DatabaseError(f"the store holds no study file of {study.name!r}; {_BY_HAND}")
    return dict(plan), Path(base)


def spec_of(study: StudyRecord, data: Mapping[str, Json] | None = None) -> StudySpec:
    """Return the spec of a study in the store, with ``data`` in place of its own if given.

    Raises:
        DatabaseError: it cannot be read.
    """
    plan, base = plan_of(study)
    plan |= {} if data is None else {"data": dict(data)}
    try:
        return from_data(plan, text=study.spec_text, base=base)
    except ValidationError as error:
        problem = next(message for _, message in problems(error, _shorthand(plan), json_schema()))
    except (_FaultError, ChoiceError) as error:
        problem = str(error)
    raise DatabaseError(f"the study file of {study.name!r} in the store cannot be read: {problem}; {_BY_HAND}")


class _FaultError(ValueError):
    def __init__(self, key: tuple[str, ...], message: str) -> None:
        super().__init__(message)
        self.key = key


def from_data(raw: Mapping[str, Json], *, text: str = "", base: Path | None = None) -> StudySpec:
    """Return the spec of plain data, as a YAML file or the store holds it."""
    model: Any = document().model_validate_json(json.dumps(_shorthand(raw), default=str), strict=True)
    task = tasks()[model.task]
    several = (model.backbone,) if isinstance(model.backbone, str) else model.backbone
    asked = (model.objective, model.objectives, model.constraints, model.latency, task.directions, model.quantised)
    wanted = goals(*asked, "" if task.quantises else _refusal(task))
    if model.data.format not in task.formats:
        raise _FaultError(
            ("data", "format"), f"the task {task.name} reads {', '.join(task.formats)}, got {model.data.format!r}"
        )
    _check_task(model, task)
    names = {} if model.space is None else {name: getattr(model.space, name) for name in type(model.space).model_fields}
    opened = {name: within for name, within in names.items() if within is not None}
    if model.space is None:
        own = (name for name, decision in decisions.registry(task.name).items() if decision.tasks and decision.usual)
        usual = [*DEFAULT_SPACE, *own]
        opened = {name: decisions.registry()[name].options() for name in usual if name not in task.leaves_out}
    search = model.search
    if search.candidates:
        try:  # from here on they travel with the study: its workers may have no such files
            search = replace(search, warm_start=given(search.candidates, base or Path.cwd()))
        except UserError as error:
            raise _FaultError(("search", "warm_start"), str(error)) from error
    return StudySpec(
        name=model.name,
        task=model.task,
        data_format=model.data.format,
        data=model.data,
        backbone=several[0],
        backbones=several if len(several) > 1 else (),
        weights=model.weights,
        input_size=model.input_size,
        space=opened,
        training=model.training,
        search=search,
        objective=wanted.objectives[0].name,
        wanted=wanted,
        keep_checkpoints=model.keep_checkpoints,
        faults=model.faults,
        task_options=getattr(model, task.name, None) or (task.options() if task.options else None),
        text=text,
        base=base or Path.cwd(),
    )


def _refusal(task: Task) -> str:
    able = ", ".join(name for name, other in tasks().items() if other.quantises)
    return f"networks are quantised for the tasks {able}; this study's is {task.name}"


def _check_task(model: Any, task: Task) -> None:
    """Refuse options and decisions of other tasks."""
    for name, other in tasks().items():
        if other.options is not None and other is not task and getattr(model, name) is not None:
            raise _FaultError((name,), f"these are options of the task {name}, this study's is {task.name}")
    for name, decision in decisions.registry().items():
        if (
            model.space is not None
            and getattr(model.space, name) is not None
            and name not in decisions.registry(task.name)
        ):
            words = ", ".join(decision.tasks)
            raise _FaultError(("space", name), f"this decision is for {words}, this study's task is {task.name}")


def _shorthand(raw: Mapping[str, Json]) -> dict[str, Json]:
    """Expand the short forms: ``data: PATH``, ``input_size: 224``, ``pruner: median``, ``freeze: true``."""
    full = dict(raw)
    size = full.get("input_size")
    if isinstance(size, int) and not isinstance(size, bool):
        full["input_size"] = [size, size]
    if isinstance(full.get("objectives"), str | list):
        full["objectives"] = objectives.written_out(full["objectives"])
    if not isinstance(full.get(QUANTISED), dict | None):
        full[QUANTISED] = {"dtype": full[QUANTISED]}
    if isinstance(full.get("search"), dict):
        named = {
            key: {"name": full["search"][key]}
            for key in ("sampler", "pruner")
            if isinstance(full["search"].get(key), str)
        }
        full["search"] = full["search"] | named
    data = full.get("data")
    if isinstance(data, str):
        data = {"path": data}
    if isinstance(data, dict) and "format" not in data:
        path = data.get("path")
        data = {"format": format_of(path if isinstance(path, str) else "", full.get("task", "classification"))} | data
    if data is not None:
        full["data"] = data
    if isinstance(full.get("space"), dict):
        full["space"] = {
            name: {} if within is True or within is None else None if within is False else within
            for name, within in full["space"].items()
        }
    return full


def format_of(path: str, task: Json) -> str:
    """Return the format of ``path``: of those the task takes, the one with its suffix, else the first."""
    known = tasks().get(task if isinstance(task, str) else "", tasks()["classification"]).formats
    fitting = (name for name in known if formats()[name].suffixes and path.lower().endswith(formats()[name].suffixes))
    return next(fitting, known[0])


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
