from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from search.data.formats.text_table import Options
from search.data.formats.text_table import format as plugin
from search.data.sample import Dataset, Split
from search.data.texts import Text
from search.errors import DataError

GOOD = "".join(f"good film number {n},pos\nbad film {n},neg\n" for n in range(10))


def read(folder: Path, text: str, name: str = "reviews.csv", **options: Any) -> Dataset:
    (folder / name).write_text(text, encoding="utf-8")
    return plugin.read(Options(path=name, **options), folder)


def test_a_table_is_cut_by_classes_and_sorted_longest_first(tmp_path: Path) -> None:
    found = read(tmp_path, f"review,sentiment\n{GOOD}", test_share=0.2)
    assert found.classes == ("neg", "pos")
    assert [len(found.of(split)) for split in Split] == [12, 4, 4]
    assert {sample.target for sample in found.of(Split.VAL)} == {0, 1}
    lengths = [len(sample.input.open()) for sample in found.samples]
    assert lengths == sorted(lengths, reverse=True)
    assert found.fingerprint != read(tmp_path, f"review,sentiment\n{GOOD}longer,pos\n", test_share=0.2).fingerprint


def test_parts_in_files_of_a_folder_and_in_a_column(tmp_path: Path) -> None:
    root = tmp_path / "sst"
    root.mkdir()
    for name in ("train", "dev", "test"):
        (root / f"{name}.tsv").write_text('sentence\tlabel\n" a quote\t10\nfine\t9\n')
    found = plugin.read(Options(path="sst"), tmp_path)
    assert (found.name, found.classes) == ("sst", ("9", "10"))
    assert [len(found.of(split)) for split in Split] == [2, 2, 2]
    table = "text,label,split\n" + "".join(f"t{n},{n % 2},{'dev' if n > 5 else 'train'}\n" for n in range(9))
    assert [len(read(tmp_path, table).of(split)) for split in Split] == [6, 3, 0]


def test_pairs_are_found_by_the_names_of_their_columns(tmp_path: Path) -> None:
    rows = "".join(f'{{"premise": "p{n}", "hypothesis": "h{n}", "label": {n % 2}}}\n' for n in range(8))
    text = read(tmp_path, rows, "nli.jsonl").samples[0].input
    assert isinstance(text, Text)
    assert text.pair == text.text.replace("p", "h")
    named = read(tmp_path, "a,b,c\n" + "x,y,1\nz,w,0\n" * 5, text_column="a", pair_column="b", label_column="c")
    assert isinstance(named.samples[0].input, Text)
    assert named.samples[0].input.pair in ("y", "w")


@pytest.mark.parametrize(
    ("text", "options", "message"),
    [
        (f"text,label\n{GOOD} ,pos\n", {}, r"line 22: the column 'text' is empty; every row needs a text; fix it, or"),
        (f"text,label\n{GOOD}x,\n", {}, r"line 22: the column 'label' is empty; every row needs a label"),
        (f"text,label\n{GOOD}a,b,c\n", {}, r"line 22: 3 fields where the header has 2"),
        (
            f"words,label\n{GOOD}",
            {},
            r"no column with texts found; the header has words, label; set `data.text_column`",
        ),
        (f"text,opinion\n{GOOD}", {}, r"no column with labels found; the header has text, opinion"),
        (f"text,label\n{GOOD}", {"text_column": "body"}, r"no column 'body'; the header has text, label"),
        (f"text,label\n{GOOD}", {"pair_column": "more"}, r"no column 'more'; the header has text, label"),
        ("text,label\nx,pos\ny,pos\n", {}, r"only the class 'pos' found; classification needs at least two classes"),
        ("text,label\n", {}, r"no row below the header"),
        ("text,label\na,x\nb,x\nc,y\n", {}, r"class 'y' has 1 sample; at least 2 are needed"),
        (
            "text,label,split\na,x,train\nb,y,train\nc,z,dev\n",
            {},
            r"line 4: the label 'z' is not among those of training: x, y",
        ),
        ("text,label,split\na,x,train\nb,y,later\n", {}, r"line 3: unknown split 'later'"),
    ],
)
def test_bad_tables_are_answered_in_one_line(tmp_path: Path, text: str, options: dict[str, str], message: str) -> None:
    with pytest.raises(DataError, match=message):
        read(tmp_path, text, **options)


def test_bad_rows_may_be_skipped_and_are_listed(tmp_path: Path) -> None:
    train = GOOD.replace("\n", ",train\n")
    text = f"text,label,split\n{train},pos,train\nx,,train\nfine,neg,dev\nso so,meh,dev\n"
    found = read(tmp_path, text, on_error="skip")
    assert len(found.samples) == 21
    assert [line.split(": ", 1)[1][:24] for line in found.skipped] == [
        "the column 'text' is emp",
        "the column 'label' is em",
        "the label 'meh' is not a",
    ]


def test_a_test_part_without_labels_is_refused_or_left_out(tmp_path: Path) -> None:
    for name in ("train", "dev"):
        (tmp_path / f"{name}.csv").write_text("text,label\na,0\nb,1\n")
    (tmp_path / "test.csv").write_text("text\nc\n")
    with pytest.raises(DataError, match=r"test.csv: no column with labels found"):
        plugin.read(Options(path="."), tmp_path)
    found = plugin.read(Options(path=".", on_error="skip"), tmp_path)
    assert found.of(Split.TEST) == ()
    assert "test.csv: no column with labels" in found.skipped[0]


def test_options_check_themselves() -> None:
    with pytest.raises(ValueError, match="limit must be at least 2 samples, got 1"):
        Options(path="x", limit=1)
    with pytest.raises(ValueError, match="val_share must be above 0"):
        Options(path="x", val_share=0)
