from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_the_schema_is_json(ftsearch: Callable[..., Any]) -> None:
    assert "backbone" in ftsearch("schema").data["properties"]
