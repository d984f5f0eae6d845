from __future__ import annotations

from pathlib import Path

import pytest

from search.data.texts import Text, Words
from search.errors import DataError
from search.model.folder import TextPreprocessing
from search.model.text_files import Unreadable, texts_in

ONE = TextPreprocessing(length=8, folder="tokenizer")
PAIR = TextPreprocessing(length=8, folder="tokenizer", pairs=True)
WORDS = TextPreprocessing(length=8, folder="tokenizer", words=True)


def written(folder: Path, name: str, content: str) -> Path:
    (folder / name).write_text(content, "utf-8")
    return folder / name


def test_a_text_file_has_one_a_line(tmp_path: Path) -> None:
    file = written(tmp_path, "t.txt", "\ufeffone, two\r\n\n  three\u2028four \n")
    assert texts_in(file, ONE) == [Text(f"{file}, line 1", "one, two"), Text(f"{file}, line 3", "three\u2028four")]
    assert texts_in(file, WORDS)[0] == Words(f"{file}, line 1", ("one,", "two"))


def test_pairs_of_a_text_file_stand_apart_by_a_tab(tmp_path: Path) -> None:
    good, bad = texts_in(written(tmp_path, "t.txt", "one\ttwo\nalone\n"), PAIR)
    assert isinstance(good, Text)
    assert (good.text, good.pair) == ("one", "two")
    assert isinstance(bad, Unreadable)
    assert "t.txt, line 2: this model takes pairs of texts" in str(bad)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("t.csv", 'label,sentence\n,"a, b"\n1,\n'),
        ("t.tsv", "sentence\tlabel\na, b\t1\n\t2\n"),
        ("t.jsonl", '{"sentence": "a, b"}\n{"sentence": ""}\n'),
    ],
)
def test_tables_need_no_labels_and_rows_without_a_text_are_reported(tmp_path: Path, name: str, content: str) -> None:
    text, missing = texts_in(written(tmp_path, name, content), ONE)
    assert isinstance(text, Text)
    assert (text.text, text.pair) == ("a, b", None)
    assert isinstance(missing, Unreadable)
    assert "the column 'sentence' is empty" in str(missing)


def test_columns_are_those_of_the_study_then_known_names_or_as_asked(tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", "text,Body,note\na,b,c\n")
    study = TextPreprocessing(length=8, folder="tokenizer", text_column="body")
    assert [found.text for found in texts_in(file, study) if isinstance(found, Text)] == ["b"]
    assert [found.text for found in texts_in(file, ONE) if isinstance(found, Text)] == ["a"]
    assert [found.text for found in texts_in(file, study, "note") if isinstance(found, Text)] == ["c"]
    with pytest.raises(DataError, match=r"no column 'nothing'; the header has text, Body, note; name .* --text-column"):
        texts_in(file, study, "nothing")
    with pytest.raises(DataError, match=r"no column with texts \(text, sentence"):
        texts_in(written(tmp_path, "other.csv", "x,y\n1,2\n"), ONE)


def test_pairs_are_found_beside_the_first_text(tmp_path: Path) -> None:
    file = written(tmp_path, "t.csv", "premise,hypothesis,other\na,b,c\n")
    (usual,) = texts_in(file, PAIR)
    assert isinstance(usual, Text)
    assert (usual.text, usual.pair) == ("a", "b")
    (asked,) = texts_in(file, PAIR, "other", "premise")
    assert isinstance(asked, Text)
    assert (asked.text, asked.pair) == ("c", "a")
    with pytest.raises(DataError, match=r"no column with second texts \(text_pair\); .*--pair-column"):
        texts_in(written(tmp_path, "one.csv", "text,label\na,1\n"), PAIR)


def test_words_come_one_a_line_or_as_lists(tmp_path: Path) -> None:
    file = written(tmp_path, "t.conll", "-DOCSTART- X\n\n# a comment\nUlm B-LOC\nis O\n\nthere\n")
    assert texts_in(file, WORDS) == [
        Words(f"{file}, line 4", ("Ulm", "is")),
        Words(f"{file}, line 7", ("there",)),
    ]
    second = TextPreprocessing(length=8, folder="tokenizer", words=True, word_column=1)
    (found,) = texts_in(written(tmp_path, "u.conllu", "1\tUlm\tX\n2\tis\tY\n"), second)
    assert found.words == ("Ulm", "is")  # type: ignore[union-attr]
    table = written(tmp_path, "t.jsonl", '{"tokens": ["New York", "is"]}\n{"tokens": "a b"}\n')
    assert [one.words for one in texts_in(table, WORDS)] == [("New York", "is"), ("a", "b")]  # type: ignore[union-attr]
    deep = written(tmp_path, "d.jsonl", f'{{"tokens": "{"[" * 100_000} x"}}\n')
    assert texts_in(deep, WORDS)[0].words == ("[" * 100_000, "x")  # type: ignore[union-attr]


def test_files_that_cannot_be_read_are_refused_in_one_line(tmp_path: Path) -> None:
    (tmp_path / "latin.txt").write_bytes("Köln".encode("latin-1"))
    (tmp_path / "latin.csv").write_bytes("text\nKöln".encode("latin-1"))
    wrong = (
        (tmp_path / "nowhere.txt", ONE, "no file of texts at"),
        (written(tmp_path, "empty.txt", "\n \n"), ONE, "empty.txt holds no text"),
        (written(tmp_path, "empty.csv", "text\n"), ONE, "empty.csv holds no text"),
        (written(tmp_path, "none.csv", ""), ONE, "the header has nothing"),
        (written(tmp_path, "t.docx", "x"), ONE, r"t.docx is no file of texts that is known; expected .*\.jsonl"),
        (written(tmp_path, "t.conll", "x O\n"), ONE, "t.conll is no file of texts that is known"),
        (tmp_path / "latin.txt", ONE, "latin.txt is not UTF-8 text"),
        (tmp_path / "latin.csv", ONE, "latin.csv is not UTF-8 text"),
    )
    for file, frame, message in wrong:
        with pytest.raises(DataError, match=message) as refused:
            texts_in(file, frame)
        assert "\n" not in str(refused.value)
        assert "study file" not in str(refused.value)
