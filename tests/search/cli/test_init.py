from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.spec.load import load_spec


def test_init_writes_a_study_file_that_plans(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("init", "data", "--backbone", "squeezenet1_1")
    assert done.code == 0, done.err
    text = (here / "data.yaml").read_text()
    (here / "data.yaml").write_text(
        text.replace("weights: default", "weights: none").replace("input_size: 224", "input_size: 32")
    )
    assert ftsearch("plan", "data.yaml").code == 0
    again = ftsearch("init", "data")
    assert again.code == 2
    assert "--force" in again.err


def test_init_of_a_folder_without_classes_is_refused(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "empty").mkdir()
    done = ftsearch("init", "empty")
    assert done.code == 2
    assert "no data of a known kind" in done.err


def test_what_init_names_after_a_table_of_roboflow_plans(here: Path, ftsearch: Callable[..., Any]) -> None:
    files = sorted((here / "data" / "red").glob("*.png"))
    rows = [f"{file}, {number % 2}, {number // 2 % 2}" for number, file in enumerate(files)]
    (here / "_classes.csv").write_text("\n".join(["filename, cat, dog", *rows]) + "\n")
    done = ftsearch("init", "_classes.csv", "--backbone", "squeezenet1_1")
    assert "multilabel, 2 classes" in done.out
    text = (here / "classes.yaml").read_text().replace("weights: default", "weights: none")
    (here / "classes.yaml").write_text(text.replace("input_size: 224", "input_size: 32"))
    assert ftsearch("plan", "classes.yaml").code == 0


@pytest.mark.parametrize(
    ("folder", "name"),
    [("v1.5", "v1.5"), ("2020 [a] data", "2020-a-data"), ("_x_", "x"), ("é", "study"), ("x" * 90, "x" * 64)],
)
def test_a_study_is_called_after_its_data(here: Path, ftsearch: Callable[..., Any], folder: str, name: str) -> None:
    (here / "data").rename(here / folder)
    done = ftsearch("init", folder, "--force", "--backbone", "squeezenet1_1")
    assert done.code == 0, done.err
    assert load_spec(here / f"{name}.yaml").name == name


def test_init_says_the_first_faults_where_nothing_is_left(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "boxes" / "annots").mkdir(parents=True)
    for number in range(5):
        (here / "boxes" / "annots" / f"{number}.xml").write_text("<annotation><object/></annotation>")
    done = ftsearch("init", "boxes")
    assert done.code == 2
    assert "no image has a box. 10 faults were left out: 0.xml, object 1: needs a `bndbox`" in done.err


def test_init_knows_texts_and_takes_a_task(here: Path, ftsearch: Callable[..., Any]) -> None:
    rows = [f"{word} number {number},{place}" for number in range(8) for place, word in enumerate(("good", "bad"))]
    (here / "reviews.csv").write_text("\n".join(["text,label", *rows]) + "\n")
    done = ftsearch("init", "reviews.csv", "--backbone", "all-minilm-l6-v2")
    if done.code:
        assert "transformers" in done.err
        return
    assert "text, 2 classes (12 train, 4 val texts)" in done.out
    assert "task: text\n" in (here / "reviews.yaml").read_text()
    assert "does not read" in ftsearch("init", "reviews.csv", "--force", "--backbone", "alexnet").err
    assert "but reviews.csv" in ftsearch("init", "reviews.csv", "--task", "tokens").err
    assert "expected one of classification" in ftsearch("init", "reviews.csv", "--task", "tagging").err


@pytest.mark.parametrize("name", ["null", "123", "yes", "1.5", "a\nb", "# x"])
def test_a_folder_of_any_name_gives_a_study_file_that_can_be_read(
    here: Path, ftsearch: Callable[..., Any], name: str
) -> None:
    (here / "data").rename(here / name)
    assert ftsearch("init", name, "-o", "s.yaml").code == 0
    spec = load_spec(here / "s.yaml")
    assert (spec.name, spec.data.path) == (re.sub(r"[^\w.]+", "-", name).strip("-"), str(here / name))


def test_a_folder_whose_name_is_no_text_is_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "data").rename(here / "d\udcff")
    done = ftsearch("init", "d\udcff", "-o", "s.yaml")
    assert (done.code, done.err.count("\n"), (here / "s.yaml").exists()) == (2, 1, False)
    assert "its path is no UTF-8 text, which a study file has to be; rename its folders" in done.err


def test_of_many_faults_the_first_are_listed(here: Path, ftsearch: Callable[..., Any]) -> None:
    for number in range(40):
        (here / "data" / "red" / f"broken{number}.png").write_text("x")
    done = ftsearch("init", "data", "-o", "s.yaml")
    assert (done.code, done.out.count("fault: "), "fault: and 20 more" in done.out) == (0, 21, True)


def test_colons_in_names_are_no_pictures(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "data").rename(here / "x:dog:")
    assert ftsearch("init", "x:dog:", "-o", "s.yaml").out.startswith("x:dog:: 3 class folders")
