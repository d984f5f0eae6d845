"""The study file: a model assembled from the registries, every fault reported at once with its line."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, make_dataclass, replace
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError, WithJsonSchema, create_model
from pydantic.alias_generators import to_pascal

from search.data.formats._base import Format
from search.errors import SpecError, UserError
from search.records import objectives
from search.records.objectives import QUANTISED, ChoiceError, Goals, Pruning, goals
from search.records.study import Json
from search.sampling import pruners
from search.sampling.optuna_study import SamplerOptions
from search.spec import yaml_lines
from search.spec.candidates import given
from search.spec.durations import Duration
from search.spec.faults import FaultOptions
from search.spec.messages import problems
from search.tasks._base import Task
from search.training.options import TrainingOptions
from spaces import backbones
from spaces.errors import PluginError, SpaceError
from spaces.networks import space
from spaces.plugins import load

_FORBID: dict[str, str] = {"extra": "forbid"}
_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}
_CONSTRAINTS: dict[str, Json] = {
    "anyOf": [{"type": "object", "additionalProperties": _TEXTS}, {"type": "array", "items": {"type": "string"}}]
}
DEFAULT_SPACE = ("freeze", "tail", "kernel", "stride", "head", "dropout", "penalty", "optimizer")
"""Decisions that are open when a study file does not name its own."""


def tasks() -> dict[str, Task]:
    """Return every task by name."""
    return load("search.tasks", "task", "ftsearch.tasks")


def formats() -> dict[str, Format]:
    """Return every data format by name."""
    return load("search.data.formats", "format", "ftsearch.formats")


def _parse_backbone(value: Any) -> Any:
    if isinstance(value, list):
        found = tuple(_parse_backbone(one) for one in value)
        if not found or len(set(map(str, found))) < len(found):
            raise ValueError(f"expected a list of different backbones, got {value!r}")
        return found
    if isinstance(value, str):
        try:
            return backbones.resolve(value).name
        except SpaceError as error:
            raise ValueError(str(error)) from error
    return value


def _parse_task(value: Any) -> Any:
    if isinstance(value, str) and value not in tasks():
        raise ValueError(f"expected one of {', '.join(tasks())}, got {value!r}")
    return value


InputSize = Annotated[
    tuple[Annotated[int, Field(ge=8)], Annotated[int, Field(ge=8)]],
    WithJsonSchema({"anyOf": [{"type": "integer"}, {"type": "array", "items": {"type": "integer"}, "maxItems": 2}]}),
]
Pruner = Annotated[pruners.Median | pruners.Halving | pruners.Hyperband | pruners.Off, Field(discriminator="name")]


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """What a study may cost, in all its workers and runs together.

    Attributes:
        gpu_seconds: measured seconds of all its trials, failed ones too, on whatever device they ran; also
            ``2h``, ``30m``. No trial starts once they are used up; those that run are finished.
    """

    gpu_seconds: Duration | None = None
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID


WARM_STARTS = 5
"""Candidates of earlier studies that ``warm_start: true`` tries."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SearchOptions:
    """How long and by what rules a study searches.

    Attributes:
        trials: how many trials the study has in the end, the baseline included.
        timeout: seconds after which no further trial starts; also ``2h``, ``30m``.
        budget: stops the study by its cost, whichever comes first.
        warm_start: how many of the best candidates of other studies in the same store, of the same task and
            backbone, are tried right after the baseline; ``true`` means 5. Or a list of candidates' JSON files, as
            ``ftsearch suggest`` writes them; what this study's space does not hold is passed over.
        parallel_heads: trials that freeze the whole backbone and that one worker trains at once, with one forward
            pass of the backbone for all. Such a trial claims so many, and those beside it differ from it in head
            and recipe only; 1 trains every trial alone.
        pruning: ``pareto_safe`` prunes no trial that is still on the front of what is known of it so far.
        seed: of the whole study; the same seed gives the same candidates and metrics on one CPU worker.
    """

    sampler: SamplerOptions = field(default_factory=SamplerOptions)
    pruner: Pruner = field(default_factory=pruners.Median)
    pruners: Pruning = "primary"
    trials: Annotated[int, Field(ge=1)] = 20
    timeout: Duration | None = None
    budget: Budget | None = None
    warm_start: bool | Annotated[int, Field(ge=0)] | tuple[str | dict[str, Any], ...] = False
    parallel_heads: Annotated[int, Field(ge=1)] = 1
    seed: Annotated[int, Field(ge=0)] = 0
    __pydantic_config__: ClassVar[dict[str, str]] = _FORBID

    @property
    def warm_starts(self) -> int:
        if isinstance(self.warm_start, tuple):
            return len(self.warm_start)
        return WARM_STARTS if self.warm_start is True else int(self.warm_start)

    @property
    def candidates(self) -> tuple[Json, ...]:
        """The candidates that were given, as plain data."""
        return self.warm_start if isinstance(self.warm_start, tuple) else ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StudySpec:
    """A study file, checked.

    Attributes:
        data: options of the data format named ``data_format``.
        space: decision name -> its range; decisions that are not here keep the plain recipe's value.
        backbone: the first one where there are several, ``backbones``, among which the search chooses.
        objective: the first objective, a metric of the task; ``goals`` has all of them, and the constraints.
        keep_checkpoints: how many of the best trials keep their weights.
        faults: what is done about workers that die and trials that go wrong.
        task_options: what stands under the task's own name; None for a task without options.
        text: the file as it was written; ``base`` is the folder that relative paths start from.
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
        """Return the whole spec as plain data; ``from_data`` reads it back."""
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


@cache
def document() -> type[BaseModel]:
    """Return the pydantic model of a study file, made from every plug-in that is installed."""
    kinds = tuple(_with_format(name, kind) for name, kind in formats().items())
    data: Any = Annotated[Union[kinds], Field(discriminator="format")]  # noqa: UP007
    ranges: dict[str, Any] = {name: (decision.options | None, None) for name, decision in space.registry().items()}
    config = ConfigDict(extra="forbid", frozen=True)
    fields: dict[str, Any] = {
        "name": (Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$")], ...),
        "task": (Annotated[str, BeforeValidator(_parse_task)], "classification"),
        "data": (data, ...),
        "backbone": (Annotated[str | tuple[str, ...], BeforeValidator(_parse_backbone)], ...),
        "weights": (str, "default"),
        "input_size": (InputSize | None, None),
        "space": (create_model("Space", __config__=config, **ranges) | None, None),
        "training": (TrainingOptions, TrainingOptions()),
        "search": (SearchOptions, SearchOptions()),
        "objective": (str | None, None),
        "objectives": (tuple[objectives.ObjectiveOptions, ...] | None, None),
        "constraints": (Annotated[Any, WithJsonSchema(_CONSTRAINTS)], None),
        "latency": (objectives.LatencyOptions | None, None),
        QUANTISED: (objectives.QuantisedOptions | None, None),
        "keep_checkpoints": (Annotated[int, Field(ge=1)], 3),
        "faults": (FaultOptions, FaultOptions()),
    }
    for name, task in tasks().items():
        if name in fields:
            raise PluginError(f"the task {name!r} has the name of a section of the study file; choose another")
        if task.options is not None:
            fields[name] = (task.options | None, None)
    return create_model("Study", __config__=config, **fields)


def json_schema() -> dict[str, Json]:
    """Return the JSON schema of a study file, for editors that complete and check YAML."""
    return document().model_json_schema()


def load_spec(path: Path | str) -> StudySpec:
    """Read the study file at ``path``.

    Raises:
        SpecError: the file is missing, is no YAML, or says something wrong; one line for every fault.
    """
    path = Path(path)
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise SpecError(f"cannot read the study file {path}: {_reason(error)}") from error
    return parse_spec(text, source=str(path), base=path.absolute().parent)


def parse_spec(text: str, *, source: str = "study file", base: Path | None = None) -> StudySpec:
    """Read a study file from its text; ``source`` is how errors call it."""
    try:
        raw, lines = yaml_lines.load(text)
    except yaml_lines.NotYamlError as error:
        raise SpecError(f"{source}:{error.line}: not valid YAML: {error}") from error
    if not isinstance(raw, dict):
        raise SpecError(f"{source}: expected a mapping with the keys name, data, backbone ..., got {raw!r}")
    faults = [(line, f"{key}: the key is given twice") for key, line in lines.doubled]
    try:
        spec = from_data(raw, text=text, base=base)
    except ValidationError as error:
        faults += [(lines.of(loc), problem) for loc, problem in problems(error, _shorthand(raw), json_schema())]
    except (_FaultError, ChoiceError) as error:
        faults.append((lines.of(error.key), f"{'.'.join(error.key)}: {error}"))
    if faults:
        raise SpecError("\n".join(f"{source}:{line}: {problem}" for line, problem in sorted(faults)))
    return spec


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
        usual = [*DEFAULT_SPACE, *(name for name, found in space.registry(task.name).items() if found.tasks)]
        opened = {name: space.registry()[name].options() for name in usual if name not in task.leaves_out}
    search = model.search
    if search.spec.candidates:
        try:  # from here on they travel with the study: its workers may have no such files
            search = replace(search, warm_start=given(search.spec.candidates, base or Path.cwd()))
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
    for name, decision in space.registry().items():
        if model.space is not None and getattr(model.space, name) is not None and name not in space.registry(task.name):
            words = ", ".join(decision.tasks)
            raise _FaultError(("space", name), f"this decision is for {words}, this study's task is {task.name}")


def _shorthand(raw: Mapping[str, Json]) -> dict[str, Json]:
    """Write out the short forms: ``data: PATH``, ``input_size: 224``, ``pruner: median``, ``freeze: true``."""
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
    if isinstance(data, dict) and "format" not in data and isinstance(data.get("path"), str):
        data = {"format": format_of(data["path"], full.get("task", "classification"))} | data
    if data is not None:
        full["data"] = data
    if isinstance(full.get("space"), dict):
        full["space"] = {
            name: {} if within is True or within is None else None if within is False else within
            for name, within in full["space"].items()
        }
    return full


def format_of(path: str, task: Json) -> str:
    """Return the format that ``path`` stands for: of those the task takes, the one its ending is of, else the first."""
    known = tasks().get(task if isinstance(task, str) else "", tasks()["classification"]).formats
    fitting = (name for name in known if formats()[name].suffixes and path.lower().endswith(formats()[name].suffixes))
    return next(fitting, known[0])


def _with_format(name: str, plugin: Format) -> type[Any]:
    """Return the format's options with the field ``format`` that tells them apart in a study file.

    ``unlabelled`` is a folder of images without labels, for ``space.pseudo``.
    """
    return make_dataclass(
        f"{to_pascal(name)}Data",
        [("format", Literal[name], field(kw_only=True)), ("unlabelled", str | None, field(default=None, kw_only=True))],
        bases=(plugin.options,),
        frozen=True,
        slots=True,
        namespace={"__pydantic_config__": _FORBID, "__doc__": plugin.options.__doc__},
    )


def plain(options: Any) -> dict[str, Json]:
    """Return a dataclass of options as plain data."""
    found: dict[str, Json] = json.loads(json.dumps(asdict(options), default=str))
    return found


def _reason(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error)
