"""Checks what browsers send before Dash parses it: anything malformed is answered by 400 or 404.

Dash trusts its own program in the browser: a number in place of a list would be a server error with a traceback in the
log.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from types import GenericAlias
from typing import Any, get_type_hints

from dash import Dash
from dash.exceptions import DependencyException
from flask import Flask, request
from pydantic import TypeAdapter, ValidationError
from werkzeug.exceptions import BadRequest

_CALLBACKS = "/_dash-update-component"


@dataclass(frozen=True, slots=True)
class _Property:
    """A component's property in a request."""

    id: str | dict[str, str | int]
    property: str


@dataclass(frozen=True, slots=True)
class _Call:
    """A request for a callback."""

    output: str
    outputs: _Property | list[_Property]
    inputs: list[_Property | list[_Property]]
    state: list[_Property | list[_Property]] = field(default_factory=list)
    changedPropIds: list[str] = field(default_factory=list)  # noqa: N815  # Dash's name


def guard(server: Flask, app: Dash) -> None:
    """Let ``server`` refuse calls that match no callback of ``app``, and files that no component has."""

    @server.before_request
    def _look() -> None:
        if request.path == _CALLBACKS and request.method == "POST":
            try:
                call: _Call = read(_Call, request.get_json())
            except RecursionError as error:
                raise BadRequest("The request is nested too deeply.") from error
            declared = app.callback_map.get(call.output)
            if declared is None or "callback" not in declared or not _fits(declared, call):
                raise BadRequest("No callback has these outputs, inputs and states.")

    missing = "No such component.\n", 404
    server.register_error_handler(DependencyException, lambda _: missing)


def checked(callback: Callable[..., Any]) -> Callable[..., Any]:
    """Let ``callback`` be called only with arguments of its annotated types; others are refused by 400."""
    kinds = [kind for name, kind in get_type_hints(callback).items() if name != "return"]

    @functools.wraps(callback)
    def call(*given: Any) -> Any:
        return callback(*read(GenericAlias(tuple, tuple(kinds)), given))

    return call


def read(kind: Any, given: Any) -> Any:
    """Return ``given`` as a ``kind``: a class, or any annotation.

    Raises:
        BadRequest: it is not.
    """
    try:
        return _adapter(kind).validate_python(given)
    except ValidationError as error:
        fault = error.errors(include_url=False, include_input=False, include_context=False)[0]
        where = ".".join(map(str, fault["loc"]))
        raise BadRequest(f"The request is malformed at {where or 'its top'}: {fault['msg']}.") from error


@functools.cache
def _adapter(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _fits(declared: Mapping[str, Any], call: _Call) -> bool:
    """Return whether a call has the outputs, inputs and states that its callback declares, and says which changed."""
    outputs = declared["output"]
    several = isinstance(outputs, Sequence)
    if several != isinstance(call.outputs, list):
        return False
    wanted = [one.to_dict() for one in (outputs if several else [outputs])]
    given = call.outputs if isinstance(call.outputs, list) else [call.outputs]
    return (
        _are(wanted, given)
        and _are(declared["inputs"], call.inputs)
        and _are(declared["state"], call.state)
        and all(any(_changes(one, changed) for one in declared["inputs"]) for changed in call.changedPropIds)
    )


def _are(wanted: Sequence[Mapping[str, str]], given: Sequence[_Property | list[_Property]]) -> bool:
    """Return whether properties are the wanted ones: a list where a pattern matches all of a kind."""
    return len(wanted) == len(given) and all(
        ('["ALL"]' in one["id"]) == isinstance(own, list)
        and all(_is(one, each) for each in (own if isinstance(own, list) else [own]))
        for one, own in zip(wanted, given, strict=True)
    )


def _is(wanted: Mapping[str, str], own: _Property) -> bool:
    pattern: Any = json.loads(wanted["id"]) if wanted["id"].startswith("{") else wanted["id"]
    if own.property.partition("@")[0] != wanted["property"]:  # `href@...` if several callbacks share an output
        return False
    if isinstance(pattern, str) or isinstance(own.id, str):
        return bool(pattern == own.id)
    return pattern.keys() == own.id.keys() and all(
        isinstance(value, list) or value == own.id[name] for name, value in pattern.items()
    )


def _changes(wanted: Mapping[str, str], changed: str) -> bool:
    """Return whether ``changed`` is Dash's name of a wanted property."""
    name, _, own = changed.rpartition(".")
    try:
        property_ = _adapter(_Property).validate_python(
            {"id": json.loads(name) if name.startswith("{") else name, "property": own}
        )
    except (ValueError, RecursionError):
        return False
    return _is(wanted, property_)
