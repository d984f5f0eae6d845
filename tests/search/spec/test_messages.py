from __future__ import annotations

import json
from typing import Literal

import pytest
from pydantic import BaseModel, Field, ValidationError

from search.spec.messages import problems


class Inner(BaseModel, extra="forbid"):
    epochs: int = 1


class Outer(BaseModel, extra="forbid"):
    training: Inner | None = None


def told(raw: dict[str, object]) -> list[tuple[tuple[str, ...], str]]:
    with pytest.raises(ValidationError) as caught:
        Outer.model_validate(raw)
    return list(problems(caught.value, raw, Outer.model_json_schema()))


def test_an_unknown_key_is_reported_its_neighbour_and_a_wrong_value_what_was_expected() -> None:
    assert told({"training": {"epoch": 3}}) == [
        (("training", "epoch"), "training.epoch: unknown key; did you mean 'epochs'?")
    ]
    assert told({"zzz": 1})[0][1] == "zzz: unknown key; known keys: training"
    ((place, text),) = told({"training": {"epochs": "many"}})
    assert place == ("training", "epochs")
    assert "training.epochs: expected an integer" in text
    assert "got 'many'" in text


def test_a_name_of_another_form_is_reported_in_words_and_not_by_a_regular_expression() -> None:
    class Named(BaseModel):
        name: str = Field(pattern="^[A-Z]$")

    with pytest.raises(ValidationError) as caught:
        Named.model_validate({"name": "a/b"})
    ((place, text),) = problems(caught.value, {"name": "a/b"}, Named.model_json_schema())
    assert place == ("name",)
    assert text.endswith("at most 64, the first a letter or a digit, got 'a/b'")


def test_a_value_that_may_be_of_several_kinds_has_one_fault_that_names_them_all() -> None:
    class Several(BaseModel):
        epochs: int | Literal["auto"] = 1

    raw = {"epochs": "many"}
    with pytest.raises(ValidationError) as caught:
        Several.model_validate(raw)
    ((place, text),) = problems(caught.value, raw, Several.model_json_schema())
    assert place == ("epochs",)
    assert text == "epochs: expected an integer, unable to parse string as an integer or 'auto', got 'many'"


class Kinds(BaseModel):
    backbone: str | tuple[str, ...] = ""
    final: Literal["off"] | Inner = "off"
    size: tuple[int, int] = (8, 8)
    steps: list[Inner] = Field(default_factory=list)


@pytest.mark.parametrize(
    ("raw", "expected"),
    [
        ({"backbone": {"a": 1}}, "backbone: expected a string or a list, got {'a': 1}"),
        ({"backbone": ["a", 4]}, "backbone.1: expected a string, got 4"),
        ({"final": {"epochs": "x"}}, "final.epochs: expected an integer, got 'x'"),
        ({"final": {"seeds": 1}}, "final.seeds: unknown key; known keys: epochs"),
        ({"size": [1, 2, 3]}, "size: expected at most 2 items, got [1, 2, 3]"),
        ({"size": [1]}, "size: item 2 is missing, got [1]"),
        ({"steps": [{"epoch": 1}]}, "steps.0.epoch: unknown key; did you mean 'epochs'?"),
    ],
)
def test_a_place_holds_only_keys_of_the_file_and_a_fault_is_told_once(raw: dict[str, object], expected: str) -> None:
    with pytest.raises(ValidationError) as caught:
        Kinds.model_validate_json(json.dumps(raw), strict=True)
    ((place, text),) = problems(caught.value, raw, Kinds.model_json_schema())
    assert text.startswith(expected)
    assert ".".join(place) == text.partition(":")[0]
