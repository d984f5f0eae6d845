from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from search.store import stored_json

FAULTS = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)


def test_what_records_take_is_left_as_it_is() -> None:
    extras = {"cost": {"epochs": 3.0}, "known": {"flops": 1.0}, "prior": 2, "marks": {"a": 1}, "device": "cpu"}
    assert stored_json.extras_of(extras) == extras
    assert stored_json.extras_of(None) == {}
    assert stored_json.identity_of({"input_size": [32, 64], "seed": 1}) == {"input_size": [32, 64], "seed": 1}
    assert stored_json.identity_of({}) == {}
    assert stored_json.numbers_of({"a": 1}) == {"a": 1.0}
    key = stored_json.fresh_key_of({"trial": 3.0, "fraction": 1})
    assert key == {"trial": 3, "fraction": 1.0}
    assert type(key["trial"]) is int
    assert stored_json.params_of({"a": 1, "b": "x", "c": None}) == {"a": 1, "b": "x", "c": None}
    assert stored_json.texts_of(["a", "b"]) == ("a", "b")
    assert stored_json.texts_of(None) == ()
    spec = {"study": {"objectives": [{"name": "flops", "direction": "minimize"}]}}
    assert stored_json.spec_of(spec) == spec


@pytest.mark.parametrize(
    ("read", "stored"),
    [
        (stored_json.extras_of, {"cost": 3}),
        (stored_json.extras_of, {"cost": {"epochs": float("inf")}}),
        (stored_json.extras_of, {"origin": "x"}),
        (stored_json.identity_of, [1]),
        (stored_json.identity_of, {"input_size": [3]}),
        (stored_json.numbers_of, {"a": "x"}),
        (stored_json.fresh_key_of, {"trial": "x"}),
        (stored_json.fresh_key_of, {"seed": float("inf")}),
        (stored_json.params_of, {"a": 10**400}),
        (stored_json.spec_of, {"study": {"objectives": [3]}}),
        (stored_json.texts_of, "a.safetensors"),
        (stored_json.texts_of, {"a.safetensors": 1}),
        (stored_json.texts_of, ["a.safetensors", 1]),
        (stored_json.text_of, 1),
    ],
)
def test_what_no_record_takes_is_an_error(read: Callable[[Any], Any], stored: Any) -> None:
    with pytest.raises(FAULTS):
        read(stored)
