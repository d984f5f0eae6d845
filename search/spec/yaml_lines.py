"""YAML with the line of every key, for error messages."""

from __future__ import annotations

import re
from typing import Any

import yaml

from search.data import yaml_documents

_BOOL = "tag:yaml.org,2002:bool"
_UNQUOTED = re.compile(r":\s*(>=?\s*[0-9.][^#,}]*)")
"""In YAML, ``accuracy: > 0.8`` begins a folded text."""


class NotYamlError(ValueError):
    """The text is not YAML; ``line`` says where, counted from 1."""

    def __init__(self, error: yaml.YAMLError, text: str = "") -> None:
        mark = getattr(error, "problem_mark", None)
        self.line = mark.line + 1 if mark else 1
        problem = str(getattr(error, "problem", None) or error).splitlines()[0]
        here = text.splitlines()[self.line - 1 : self.line]
        if here and (bound := _UNQUOTED.search(here[0])):
            problem += f"; a value that begins with > must be quoted: '{bound[1].strip()}'"
        super().__init__(problem)


def load(text: str) -> tuple[Any, Lines]:
    """Return the data in ``text`` and the line of each key.

    Raises:
        NotYamlError: it does not parse.
    """
    try:
        data, node = yaml_documents.parse(text, _Loader)
    except yaml.YAMLError as error:
        raise NotYamlError(error, text) from error
    return _named(data), Lines(node)


def _named(data: Any) -> Any:
    """Return ``data`` with keys that are all text, as those of a study file are: a date would be none."""
    if isinstance(data, dict):
        return {str(key): _named(value) for key, value in data.items()}
    return [_named(value) for value in data] if isinstance(data, list) else data


class _Loader(yaml.SafeLoader):
    """YAML as people write it: ``1e-3`` is a number, ``off`` and ``no`` are words (YAML 1.2)."""


_Loader.yaml_implicit_resolvers = {
    first: [(tag, pattern) for tag, pattern in known if tag != _BOOL]
    for first, known in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.add_implicit_resolver(_BOOL, re.compile(r"^(?:true|True|TRUE|false|False|FALSE)$"), list("tTfF"))

_Loader.add_implicit_resolver(
    "tag:yaml.org,2002:float", re.compile(r"^[-+]?[0-9]+(\.[0-9]*)?[eE][-+]?[0-9]+$"), list("-+0123456789")
)


class Lines:
    """The line of each key."""

    def __init__(self, root: yaml.Node | None) -> None:
        self._lines: dict[tuple[str, ...], int] = {(): 1}
        self.doubled: list[tuple[str, int]] = []
        if root is not None:
            self._walk(root, ())

    def of(self, loc: tuple[str, ...]) -> int:
        """Return the line of ``loc``, or of the nearest key around it."""
        while loc not in self._lines:
            loc = loc[:-1]
        return self._lines[loc]

    def _walk(self, node: yaml.Node, path: tuple[str, ...]) -> None:
        if isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                place = (*path, str(key.value))
                if place in self._lines:
                    self.doubled.append((".".join(place), key.start_mark.line + 1))
                    continue
                self._lines[place] = key.start_mark.line + 1
                self._walk(value, place)
        elif isinstance(node, yaml.SequenceNode):
            for index, value in enumerate(node.value):
                self._lines[(*path, str(index))] = value.start_mark.line + 1
                self._walk(value, (*path, str(index)))
