"""The pydantic model of a study file, assembled from the registries, and its JSON schema."""

from __future__ import annotations

from dataclasses import field, make_dataclass
from functools import cache
from typing import Annotated, Any, Literal, Union

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, create_model
from pydantic.alias_generators import to_pascal

from search.data.formats import formats
from search.data.formats._base import Format
from search.records import objectives
from search.records.objectives import QUANTISED
from search.records.study import Json
from search.spec.faults import FaultOptions
from search.spec.search_options import _FORBID, SearchOptions
from search.tasks import tasks
from search.training.options import TrainingOptions
from spaces import backbones, decisions
from spaces.errors import PluginError, SpaceError

_TEXTS = {"anyOf": [{"type": "string"}, {"type": "array", "items": {"type": "string"}}]}


_CONSTRAINTS: dict[str, Json] = {
    "anyOf": [{"type": "object", "additionalProperties": _TEXTS}, {"type": "array", "items": {"type": "string"}}]
}


def _parse_backbone(value: Any) -> Any:
    if isinstance(value, list):
        parsed = tuple(_parse_backbone(one) for one in value)
        if not parsed or len(set(map(str, parsed))) < len(parsed):
            raise ValueError(f"expected a list of different backbones, got {value!r}")
        return parsed
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


@cache
def document() -> type[BaseModel]:
    """Return the pydantic model of a study file, made from every plug-in that is installed."""
    kinds = tuple(_with_format(name, kind) for name, kind in formats().items())
    data: Any = Annotated[Union[kinds], Field(discriminator="format")]  # noqa: UP007
    ranges: dict[str, Any] = {name: (decision.options | None, None) for name, decision in decisions.registry().items()}
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


def _with_format(name: str, plugin: Format) -> type[Any]:
    """Return the format's options with the field ``format`` that distinguishes them in a study file.

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
