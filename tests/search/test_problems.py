from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from search.problems import problems


class Inner(BaseModel, extra="forbid"):
    epochs: int = 1


class Outer(BaseModel, extra="forbid"):
    training: Inner | None = None


def told(raw: dict[str, object]) -> list[tuple[tuple[str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(raw)
    return list(problems(caught.value, raw, Outer.model_json_schema()))


def test_an_unknown_key_is_told_its_neighbour_and_a_wrong_value_what_was_expected() -> None:
    assert told({"training": {"epoch": 3}}) == [
        (("training", "epoch"), "training.epoch: unknown key; did you mean 'epochs'?")
    ]
    assert told({"zzz": 1})[0][1] == "zzz: unknown key; known keys: training"
    ((place, text),) = told({"training": {"epochs": "many"}})
    assert place == ("training", "epochs")
    assert "training.epochs: expected an integer" in text
    assert "got 'many'" in text
