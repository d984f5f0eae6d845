from __future__ import annotations

from pathlib import Path

import pytest

from search.errors import DataError
from search.new_study.recognised import Recognised

ROWS = "".join(f"text {number},{number % 2}\n" for number in range(12))


def test_what_was_recognised_is_read_without_what_is_faulty(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text(f"words,label\n{ROWS},1\n")
    found = Recognised("text", "text_table", "why", tmp_path / "a.csv", {"text_column": "words"}).read()
    assert len(found.samples) == 12
    assert found.skipped == (f"{tmp_path / 'a.csv'}, line 14: the column 'words' is empty; every row needs a text",)


def test_lists_in_options_are_taken(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,x,y\n" + "".join(f"text {n},{n / 3},{n / 7}\n" for n in range(12)))
    options = {"target_columns": ["x", "y"]}
    assert Recognised("text_regression", "text_numbers", "why", tmp_path / "a.csv", options).read().classes == (
        "x",
        "y",
    )


def test_where_nothing_is_left_the_first_faults_are_named(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("text,label\n" + "a,\n" * 5)
    with pytest.raises(DataError, match=r"no class found.*5 faults were left out: .*, line 2: the column 'label'"):
        Recognised("text", "text_table", "why", tmp_path / "a.csv").read()
