"""Error messages for a study file: pydantic's errors, reworded, with the keys that the file really has."""

from __future__ import annotations

import difflib
from collections.abc import Iterator, Mapping

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from search.records.study import Json

_WORDS = {"a valid array": "a list", "an object": "a mapping", "a valid integer": "an integer", "valid ": ""}
"""Pydantic speaks of JSON, a study file is YAML."""
_MISSING = ("missing", "missing_argument")


def problems(
    error: ValidationError, raw: Mapping[str, Json], schema: Mapping[str, Json]
) -> Iterator[tuple[tuple[str, ...], str]]:
    """Yield key path and message of every error in ``raw``, a study file with its short forms expanded.

    ``schema`` is the JSON schema of study files: for unknown keys the nearest one is suggested.
    """
    kinds_of: dict[tuple[str, ...], list[str]] = {}
    faults = _faults(error, raw)
    for loc, fault in faults:
        name = ".".join(loc)
        match fault["type"]:
            case "extra_forbidden" | "unexpected_keyword_argument":
                known = _known_keys(loc[:-1], schema, raw)
                near = difflib.get_close_matches(loc[-1], known, 1)
                hint = f"did you mean {near[0]!r}?" if near else f"known keys: {', '.join(known)}"
                yield loc, f"{name}: unknown key; {hint}"
            case "missing" if isinstance(place := fault["loc"][-1], int):
                yield loc, f"{name}: item {place + 1} is missing, got {fault['input']!r}"
            case "missing" | "missing_argument":
                yield loc, f"{name}: this key is needed"
            case "too_long":
                yield loc, f"{name}: expected at most {fault['ctx']['max_length']} items, got {fault['input']!r}"
            case "value_error":
                yield loc, f"{name}: {fault['msg'].removeprefix('Value error, ')}"
            case "string_pattern_mismatch" if name == "name":
                expected = "letters of ASCII, digits, '.', '_' and '-', at most 64, the first a letter or a digit"
                yield loc, f"{name}: expected {expected}, got {fault['input']!r}"
            case "union_tag_invalid":
                context = fault["ctx"]
                key = context["discriminator"].strip("'")
                yield (*loc, key), f"{name}.{key}: expected one of {context['expected_tags']}, got {context['tag']!r}"
            case _:
                text = _expected(fault)
                # A value that may be of several kinds has an error for each; they become one line, at the last.
                kinds = kinds_of.setdefault(loc, [])
                kinds.append(text.removeprefix("expected ") if kinds else text)
                if len(kinds) == sum(other == loc for other, _ in faults):
                    yield loc, f"{name}: {' or '.join(kinds)}, got {fault['input']!r}"


def _faults(error: ValidationError, raw: Json) -> list[tuple[tuple[str, ...], ErrorDetails]]:
    """Return the faults with their places; of a value that may be of several kinds, those of the kind looked into."""
    found = [(_keys_of(fault, raw), fault) for fault in error.errors(include_url=False)]
    entered = {loc[:depth] for loc, _ in found for depth in range(len(loc))}
    return [(loc, fault) for loc, fault in found if loc not in entered]


def _expected(fault: ErrorDetails) -> str:
    """Return what was expected, in words for users of YAML."""
    text = fault["msg"].replace("Input should be", "expected")
    for theirs, ours in _WORDS.items():
        text = text.replace(theirs, ours)
    return text


def _keys_of(fault: ErrorDetails, raw: Json) -> tuple[str, ...]:
    """Return where ``fault`` is, without the tags that pydantic inserts for unions: only keys that the file has.

    The last one is a key that it should have, if that is the fault.
    """
    loc, is_missing = fault["loc"], fault["type"] in _MISSING
    keys: list[str] = []
    here = raw
    for part in loc[:-1] if is_missing else loc:
        known = range(len(here)) if isinstance(here, list) else here if isinstance(here, dict) else ()
        if part in known:
            keys.append(str(part))
            here = here[part]
    return (*keys, str(loc[-1])) if is_missing and isinstance(here, dict) else tuple(keys)


def _known_keys(path: tuple[str, ...], schema: Mapping[str, Json], raw: Mapping[str, Json]) -> list[str]:
    """Return the keys that may stand at ``path``: of several kinds, those of the kind that ``raw`` names there."""
    nodes: list[Mapping[str, Json]] = [schema]
    there: Json = raw
    for part in path:
        nodes = [child for node in nodes for child in _variants(node, schema)]
        if isinstance(there, list):
            there = there[int(part)]
            nodes = [node["items"] for node in nodes if "items" in node]
        else:
            there = there.get(part)
            nodes = [node["properties"][part] for node in nodes if part in node.get("properties", {})]
    children = [child for node in nodes for child in _variants(node, schema)]
    kinds = [child.get("properties", {}) for child in children]
    meant = [
        kind for kind in kinds if all(one.get("const", there.get(key)) == there.get(key) for key, one in kind.items())
    ]
    return sorted({name for kind in meant or kinds for name in kind})


def _variants(node: Mapping[str, Json], schema: Mapping[str, Json]) -> list[Mapping[str, Json]]:
    if "$ref" in node:
        return [schema["$defs"][node["$ref"].rsplit("/", 1)[1]]]
    options = node.get("anyOf", []) + node.get("oneOf", [])
    return [leaf for option in options for leaf in _variants(option, schema)] if options else [node]
