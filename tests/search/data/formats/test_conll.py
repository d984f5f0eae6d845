from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.data.formats.conll import Options
from search.data.formats.conll import format as plugin
from search.data.sample import Dataset, Split
from search.data.texts import Words
from search.errors import DataError

CONLL = """-DOCSTART- -X- -X- O

EU NNP B-NP B-ORG
rejects VBZ B-VP O
German JJ B-NP B-MISC
call NN I-NP O

Peter NNP B-NP B-PER
Blackburn NNP I-NP I-PER

"""


def read(folder: Path, text: str, **options: Any) -> Dataset:
    (folder / "t.conll").write_text(text, encoding="utf-8")
    return plugin.read(Options(path="t.conll", **options), folder)


def test_sentences_with_a_tag_a_word(tmp_path: Path) -> None:
    found = read(tmp_path, CONLL * 4)
    assert found.classes == ("O", "B-MISC", "B-ORG", "B-PER", "I-PER")
    assert len(found.samples) == 8
    assert found.of(Split.VAL)
    words = {sample.input.words: sample.target for sample in found.samples if isinstance(sample.input, Words)}
    assert words["EU", "rejects", "German", "call"] == (2, 0, 1, 0)
    assert words["Peter", "Blackburn"] == (3, 4)
    assert found.samples[0].input.name.startswith(f"{tmp_path / 't.conll'}, line ")


def test_parts_other_columns_tabs_and_comments(tmp_path: Path) -> None:
    for name in ("train.txt", "dev.txt"):
        (tmp_path / name).write_text("# id = 1\n1\tNew York\tNOUN\t_\n2\tsleeps\tVERB\t_\n\n1\t#\tSYM\t_\n")
    found = plugin.read(Options(path=".", word_column=1, tag_column=2), tmp_path)
    assert found.classes == ("NOUN", "SYM", "VERB")
    assert [len(found.of(split)) for split in Split] == [2, 2, 0]
    assert isinstance(found.samples[0].input, Words)
    assert found.samples[0].input.words == ("New York", "sleeps")


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (
            "EU B-ORG\nrejects\n\nx O\n",
            r"line 2: the word 'rejects' has no tag in column -1; fix it, or set `on_error: s",
        ),
        ("", "0 tags found"),
        ("x O\n\ny O\n", r"1 tag found \(O\); at least two are needed"),
    ],
)
def test_bad_files_are_answered_in_one_line(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text)


def test_a_sentence_with_a_fault_may_be_skipped(tmp_path: Path) -> None:
    found = read(tmp_path, CONLL * 3 + "broken\nx O\n\n", on_error="skip")
    assert len(found.samples) == 6
    assert "the word 'broken' has no tag" in found.skipped[0]


def test_a_tag_that_only_validation_has_is_named(tmp_path: Path) -> None:
    (tmp_path / "train.conll").write_text(CONLL)
    (tmp_path / "dev.conll").write_text("Rome B-LOC\n")
    with pytest.raises(
        DataError, match=r"dev.conll, line 1: the tag 'B-LOC' is not among those of training: O, B-MISC"
    ):
        plugin.read(Options(path="."), tmp_path)


def test_options_check_themselves() -> None:
    with pytest.raises(ValueError, match="must be two columns"):
        Options(path="x", word_column=1, tag_column=1)
