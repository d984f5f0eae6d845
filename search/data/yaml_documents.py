"""Untrusted YAML: rejected if its aliases expand without bound or it is nested too deeply."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import Any

import yaml

_LARGEST = 4 << 20
MOST = 100_000
"""Most values in a document, its aliases expanded."""
DEEPEST = 100
"""Deepest nesting of lists and mappings."""
_NO_VALUE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""Of numbers of thousands of digits, dates that do not exist, ``!!bool maybe``, ``!!timestamp soon``."""


def parse(text: str, loader: type[yaml.SafeLoader] = yaml.SafeLoader) -> tuple[Any, yaml.Node | None]:
    """Return the data in ``text`` and the node they were constructed from.

    Raises:
        yaml.YAMLError: it does not parse, holds a value that is none (a date such as 2024-13-45), is nested deeper than
            ``DEEPEST``, or larger than ``MOST``. Nothing else.
    """
    bounded: Any = type("Bounded", (_Bounded, loader), {})
    reader = bounded(text)
    try:
        node = reader.get_single_node()
        if node is None:
            return None, None
        _expanded(node, {}, 1)
        return reader.construct_document(node), node
    except _NO_VALUE as error:
        raise yaml.YAMLError(f"a value cannot be read: {error}") from error
    finally:
        reader.dispose()


class _Bounded:
    """Stops composing a document at ``DEEPEST``, before all of it has been scanned; says where a value is none."""

    _depth = 0

    def compose_node(self, parent: yaml.Node | None, index: Any) -> Any:
        self._depth += 1
        if self._depth > DEEPEST:
            raise yaml.YAMLError(f"lists or mappings are nested deeper than {DEEPEST}")
        node = super().compose_node(parent, index)  # type: ignore[misc]  # of yaml.composer.Composer
        self._depth -= 1
        return node

    def construct_object(self, node: yaml.Node, deep: bool = False) -> Any:
        try:
            return super().construct_object(node, deep)  # type: ignore[misc]  # of yaml.constructor
        except _NO_VALUE as error:
            reason = str(error).split(";")[0]
            mark = node.start_mark
            raise yaml.MarkedYAMLError(problem=f"a value cannot be read: {reason}", problem_mark=mark) from error


def load(text: str) -> Any:
    """Return the data in ``text``. Raises yaml.YAMLError as ``parse`` does."""
    return parse(text)[0]


def _expanded(node: yaml.Node, known: dict[int, int], depth: int) -> int:
    """Return the number of values in ``node`` with aliases expanded; every node is visited once."""
    if depth > DEEPEST:
        raise yaml.YAMLError(f"lists or mappings are nested deeper than {DEEPEST}")
    if isinstance(node, yaml.ScalarNode):
        return 1
    if known.get(id(node)) == 0:
        raise yaml.YAMLError("an alias is inside the node that it names")
    if id(node) not in known:
        known[id(node)] = 0
        parts = [part for pair in node.value for part in (pair if isinstance(pair, tuple) else (pair,))]
        known[id(node)] = 1 + sum(_expanded(part, known, depth + 1) for part in parts)
    if known[id(node)] > MOST:
        raise yaml.YAMLError(f"its aliases expand to more than {MOST:,} values")
    return known[id(node)]


def text_of(path: Path, largest: int = _LARGEST) -> str:
    """Return the text of a hand-written file.

    Raises:
        OSError, UnicodeDecodeError: it cannot be read, is not a regular file (a pipe or device would never end), or is
            larger than ``largest`` bytes.
    """
    if path.exists() and not path.is_file():
        raise OSError(errno.EINVAL, "not a plain file")
    if path.exists() and path.stat().st_size > largest:
        raise OSError(errno.EFBIG, f"larger than {largest >> 20} MB")
    return path.read_text(encoding="utf-8")
