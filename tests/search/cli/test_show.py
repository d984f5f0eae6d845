from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_units_are_shown_with_what_applies(ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("show", "squeezenet1_1", "--input", 64)
    assert done.code == 0, done.err
    for part in ("features.0", "decisions that apply: tail", "█"):
        assert part in done.out
    assert ftsearch("show", "squeezenet1_1", "--json").data[0]["name"] == "features.0"


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [(["resnet19"], "did you mean resnet1"), (["alexnet", "--input", "16"], "choose a larger one")],
)
def test_what_cannot_be_shown_is_refused(ftsearch: Callable[..., Any], arguments: list[str], reason: str) -> None:
    done = ftsearch("show", *arguments)
    assert done.code == 2
    assert reason in done.err
