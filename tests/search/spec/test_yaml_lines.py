from __future__ import annotations

import pytest

from search.spec import yaml_lines


def test_every_key_and_item_has_its_line() -> None:
    data, lines = yaml_lines.load("a: 1\nb:\n  c: [1,\n    2]\n")
    assert data == {"a": 1, "b": {"c": [1, 2]}}
    assert [lines.of(key) for key in (("a",), ("b", "c"), ("b", "c", "1"))] == [1, 3, 4]
    assert lines.of(("b", "c", "absent")) == 3


def test_a_key_given_twice_is_found() -> None:
    _, lines = yaml_lines.load("a: 1\nb: {c: 1, c: 2}\n")
    assert lines.doubled == [("b.c", 2)]


def test_numbers_are_read_as_people_write_them() -> None:
    assert yaml_lines.load("[1e-3, 2E5, 1.5e+2, 3]")[0] == [0.001, 200000.0, 150.0, 3]


def test_what_is_no_yaml_says_where() -> None:
    with pytest.raises(yaml_lines.NotYamlError) as caught:
        yaml_lines.load("a: 1\nb: [\n")
    assert caught.value.line == 3


def test_off_and_no_are_words_and_true_is_none() -> None:
    data, _ = yaml_lines.load("{a: off, b: no, c: on, d: yes, e: true, f: False}")
    assert data == {"a": "off", "b": "no", "c": "on", "d": "yes", "e": True, "f": False}


def test_a_bound_that_yaml_takes_for_a_folded_text_is_pointed_out() -> None:
    with pytest.raises(yaml_lines.NotYamlError, match=r"must stand in quotes: '> 0.8'") as caught:
        yaml_lines.load("constraints:\n  accuracy: > 0.8\n")
    assert caught.value.line == 2
