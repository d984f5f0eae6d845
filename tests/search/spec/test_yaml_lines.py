from __future__ import annotations

import pytest

from search.spec import yaml_lines


def test_every_key_and_item_has_its_line() -> None:
    data, lines = yaml_lines.load("a: 1\nb:\n  c: [1,\n    2]\n")
    assert data == {"a": 1, "b": {"c": [1, 2]}}
    assert [lines.of(key) for key in (("a",), ("b", "c"), ("b", "c", "1"))] == [1, 3, 4]
    assert lines.of(("b", "c", "absent")) == 3


def test_keys_are_text() -> None:
    data, lines = yaml_lines.load("2020-01-01: {3: [{true: 1}]}\n? null\n: 2\n")
    assert data == {"2020-01-01": {"3": [{"True": 1}]}, "None": 2}
    assert lines.of(("2020-01-01", "3")) == 1


def test_a_key_given_twice_is_found() -> None:
    _, lines = yaml_lines.load("a: 1\nb: {c: 1, c: 2}\n")
    assert lines.doubled == [("b.c", 2)]


def test_numbers_are_read_as_people_write_them() -> None:
    assert yaml_lines.load("[1e-3, 2E5, 1.5e+2, 3]")[0] == [0.001, 200000.0, 150.0, 3]


def test_what_is_not_yaml_says_where() -> None:
    with pytest.raises(yaml_lines.NotYamlError) as caught:
        yaml_lines.load("a: 1\nb: [\n")
    assert caught.value.line == 3


@pytest.mark.parametrize("value", ["9" * 5000, "2024-13-45", "!!bool maybe"])
def test_a_value_that_is_none_is_reported_at_its_line(value: str) -> None:
    with pytest.raises(yaml_lines.NotYamlError, match=r"a value cannot be read: [^;]*$") as caught:
        yaml_lines.load(f"a: 1\nb:\n  - c: 1\n    d: {value}\n")
    assert caught.value.line == 4


def test_off_and_no_are_words_and_true_is_none() -> None:
    data, _ = yaml_lines.load("{a: off, b: no, c: on, d: yes, e: true, f: False}")
    assert data == {"a": "off", "b": "no", "c": "on", "d": "yes", "e": True, "f": False}


def test_a_bound_that_yaml_takes_for_a_folded_text_is_pointed_out() -> None:
    with pytest.raises(yaml_lines.NotYamlError, match=r"must be quoted: '> 0.8'") as caught:
        yaml_lines.load("constraints:\n  accuracy: > 0.8\n")
    assert caught.value.line == 2


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("[" * 3000, "nested deeper than 100"),
        (
            "a: &a [x, x]\n" + "".join(f"b{n}: &b{n} [*{'a' if n == 0 else f'b{n - 1}'}, *a, *a]\n" for n in range(3)),
            "",
        ),
        ("a: &a [*a]", "an alias is inside the node that it names"),
        ("seed: " + "9" * 5000, "a value cannot be read"),
    ],
)
def test_what_grows_without_bound_is_not_yaml(text: str, message: str) -> None:
    if not message:  # aliases in measure are fine
        assert yaml_lines.load(text)[0]["b0"] == [["x", "x"]] * 3
        return
    with pytest.raises(yaml_lines.NotYamlError, match=message):
        yaml_lines.load(text)
