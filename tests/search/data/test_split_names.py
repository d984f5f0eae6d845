from __future__ import annotations

from pathlib import Path

import pytest

from search.data.sample import Split
from search.data.split_names import files_of, split_of, words_of
from search.errors import DataError


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", Split.TRAIN),
        ("Train", Split.TRAIN),
        ("seg_train", Split.TRAIN),
        ("training_set", Split.TRAIN),
        ("instances_train2017", Split.TRAIN),
        ("Corona_NLP_test", Split.TEST),
        ("valid", Split.VAL),
        ("x-dev.old", Split.VAL),
        ("train_test_split", None),
        ("trainval", None),
        ("contest", None),
        ("", None),
    ],
)
def test_a_word_of_a_name_says_the_split(name: str, split: Split | None) -> None:
    assert split_of(name) is split


def test_everything_but_letters_separates_words() -> None:
    assert words_of("Airline_Sentiment-2.label") == ["airline", "sentiment", "label"]


def write(folder: Path, *names: str) -> None:
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()


@pytest.mark.parametrize(
    "names",
    [
        ("train.csv", "dev.csv"),
        ("reviews_train.csv", "reviews_val.csv"),
        ("train/_classes.csv", "valid/_classes.csv"),
        ("train.csv", "val.csv", "train_extra.csv", "notes.txt", "._train.csv", "test/a.csv", "test/b.csv"),
    ],
)
def test_every_part_has_its_file(tmp_path: Path, names: tuple[str, ...]) -> None:
    write(tmp_path, *names)
    assert files_of(tmp_path, (".csv",)) == {Split.TRAIN: tmp_path / names[0], Split.VAL: tmp_path / names[1]}


def test_two_files_for_one_part_and_none_for_training_are_refused(tmp_path: Path) -> None:
    write(tmp_path, "a_train.csv", "b_train.csv")
    with pytest.raises(DataError, match=r"has both a_train\.csv and b_train\.csv for train; name a file"):
        files_of(tmp_path, (".csv",))
    with pytest.raises(DataError, match=r"no train file; expected train\.tsv \(\.tsv\), dev, test"):
        files_of(tmp_path, (".tsv",))
