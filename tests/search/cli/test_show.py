from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from search.cli import _units


def test_units_are_shown_with_what_applies(ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("show", "squeezenet1_1", "--input", 64)
    assert done.code == 0, done.err
    for part in ("features.0", "of the whole network: resolution, pattern, freeze", "skip does not", "3x3/2", "█"):
        assert part in done.out
    first, *_ = ftsearch("show", "squeezenet1_1", "--json").data
    assert first["name"] == "features.0"
    assert {"kernel", "insert"} <= set(first["decisions"])
    assert (first["convolutions"][0]["kernel"], first["convolutions"][0]["stride"]) == ([3, 3], [2, 2])


def test_the_input_need_not_be_square(ftsearch: Callable[..., Any]) -> None:
    (*_, last) = ftsearch("show", "resnet18", "--input", "64x96", "--json").data
    assert last["out_shape"] == [512, 2, 3]


DOMINANT = "of the computation and cannot be cut: decisions on depth (freeze, tail) mean little"


def test_a_unit_that_does_most_of_the_computation_is_reported(
    ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    assert DOMINANT not in ftsearch("show", "squeezenet1_1", "--input", 64).out
    monkeypatch.setattr(_units, "_MOST", 0.1)
    assert DOMINANT in ftsearch("show", "squeezenet1_1", "--input", 64).out


@pytest.mark.slow
def test_a_transformer_in_a_transformer_has_such_a_unit(ftsearch: Callable[..., Any]) -> None:
    pytest.importorskip("timm")
    assert DOMINANT in ftsearch("show", "timm:tnt_s_patch16_224").out


@pytest.mark.parametrize(
    ("arguments", "reason"),
    [
        (["resnet19"], "did you mean resnet1"),
        (["alexnet", "--input", "16"], "choose a larger one"),
        (["alexnet", "--input", "4x"], "HEIGHTxWIDTH"),
    ],
)
def test_what_cannot_be_shown_is_refused(ftsearch: Callable[..., Any], arguments: list[str], reason: str) -> None:
    done = ftsearch("show", *arguments)
    assert done.code == 2
    assert reason in done.err
