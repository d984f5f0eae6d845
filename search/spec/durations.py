"""Spans of time as people write them: ``2h``, ``30m``, ``45s``."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import BeforeValidator, Field, WithJsonSchema

_DURATION = re.compile(r"(\d+(?:\.\d+)?)\s*(s|m|h|d)?")
_UNIT_S = {"s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}
LONGEST_S = 3650 * _UNIT_S["d"]
"""Ten years; no clock of a database or of a thread that waits holds any span of time."""


def parse_duration(value: Any) -> Any:
    """Return seconds for ``2h``, ``30m``, ``45s``, ``1d`` or a plain number of seconds.

    Raises:
        ValueError: the text is not a duration.
    """
    if not isinstance(value, str):
        return value
    match = _DURATION.fullmatch(value.strip().lower())
    if match is None:
        raise ValueError(f"expected a duration such as 2h, 30m or 45s, got {value!r}")
    return float(match[1]) * _UNIT_S[match[2] or "s"]


Duration = Annotated[
    float,
    BeforeValidator(parse_duration),
    Field(gt=0, le=LONGEST_S),
    WithJsonSchema({"anyOf": [{"type": "number"}, {"type": "string", "pattern": f"^{_DURATION.pattern}$"}]}),
]
