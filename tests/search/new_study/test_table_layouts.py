from __future__ import annotations

import json
import re
from typing import Any

import pytest

from search.data.sample import Split
from search.errors import DataError
from search.new_study.table_layouts import lines_of, of_file, of_folder, tables_in

NAMES = [f"{number:02d}" for number in range(12)]
KINDS = ("cat", "dog")
TEXTS = [f"this is review {number}, of a film" for number in range(12)]
CONLL = "EU B-ORG\nrejects O\nGerman B-MISC\n\n"


def kind(name: str) -> str:
    return KINDS[int(name) % 2]


def rows(header: str, line: str, names: list[str] = NAMES) -> str:
    return "\n".join([header, *(line.format(name=name, kind=kind(name), text=TEXTS[int(name)]) for name in names)])


def read(found: Any) -> tuple[Any, ...]:
    (one,) = found
    data = one.read()
    assert not data.skipped
    return (one.task, one.format, *data.classes, len(data.of(Split.TRAIN)), len(data.of(Split.VAL)))


@pytest.mark.parametrize(
    ("header", "line"),
    [
        ("path,label", "{name}.png,{kind}"),
        ("filename\tlabel", "{name}.png\t{kind}"),
        ("id,breed", "{name},{kind}"),
        ("photo;what", "{name}.png;{kind}"),
        (",image_id,animal_class,age", "7,{name}.png,{kind},{name}{name}"),
    ],
)
@pytest.mark.parametrize("folder", [".", "images", "data/train"])
def test_images_of_a_table_are_found_in_a_folder_beside_it(layout: Any, header: str, line: str, folder: str) -> None:
    layout.picture(*(f"{folder}/{name}.png" for name in NAMES))
    layout.write("labels.csv", rows(header, line))
    wanted = ("classification", "csv", "cat", "dog", 10, 2)
    assert read(of_file(layout.root / "labels.csv")) == wanted
    assert read(of_folder(layout.root)) == wanted


@pytest.mark.parametrize(
    ("column", "words"),
    [("is_valid", ("False", "True")), ("split", ("train", "valid")), ("subset", ("training", "Validation"))],
)
def test_the_part_that_a_column_says_is_kept_to_and_nothing_to_learn(
    layout: Any, column: str, words: tuple[str, str]
) -> None:
    said = [words[number < 5] for number in range(12)]
    layout.picture(*(f"{name}.png" for name in NAMES))
    for header, values in (
        ("path,label", [f"{name}.png,{kind(name)}" for name in NAMES]),
        ("path,age", [f"{name}.png,{int(name) / 4}" for name in NAMES]),
        ("path,furry,wet", [f"{name}.png,{int(name) % 2},{int(int(name) > 3)}" for name in NAMES]),
        ("text,label", [f"{TEXTS[int(name)]},{kind(name)}".replace(", of", " of") for name in NAMES]),
    ):
        lines = [f"{header},{column}", *(f"{value},{word}" for value, word in zip(values, said, strict=True))]
        layout.write("labels.csv", "\n".join(lines))
        assert read(of_file(layout.root / "labels.csv"))[-2:] == (7, 5), header


def test_a_folder_with_a_table_a_part_is_taken_whole(layout: Any) -> None:
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    layout.write("train.csv", rows("path,label", "{name}.png,{kind}", NAMES[:8]))
    layout.write("val.csv", rows("path,label", "{name}.png,{kind}", NAMES[8:]))
    assert read(of_folder(layout.root)) == ("classification", "csv", "cat", "dog", 8, 4)
    layout.write("test.csv", rows("path", "{name}.png"))
    (found,) = of_folder(layout.root)
    assert found.read().skipped == (f"{layout.root / 'test.csv'}: no column 'label'; the header has path",)


def test_roboflow_writes_a_table_into_every_part(layout: Any) -> None:
    for part, names in (("train", NAMES[:8]), ("valid", NAMES[8:])):
        layout.picture(*(f"{part}/{name}.png" for name in names))
        text = "\n".join(
            ["filename, cat, dog", *(f"{name}.png, {int(name) % 2}, {int(name) // 2 % 2}" for name in names)]
        )
        layout.write(f"{part}/_classes.csv", text)
    assert read(of_folder(layout.root)) == ("multilabel", "csv_labels", "cat", "dog", 8, 4)
    for part, names in (("train", NAMES[:8]), ("valid", NAMES[8:])):
        (layout.root / part / "_classes.csv").unlink()
        header = "filename,width,height,class,xmin,ymin,xmax,ymax"
        layout.write(f"{part}/_annotations.csv", rows(header, "{name}.png,24,16,{kind},2,3,12,13", names))
    assert read(of_folder(layout.root)) == ("detection", "csv_boxes", "cat", "dog", 8, 4)


@pytest.mark.parametrize("corners", ["xmin,ymin,xmax,ymax", "x1,y1,x2,y2", "x_min,y_min,x_max,y_max"])
@pytest.mark.parametrize(("image", "label"), [("filename", "class"), ("image_path", "label"), ("picture", "name")])
def test_a_row_per_box_is_not_a_row_per_image(layout: Any, corners: str, image: str, label: str) -> None:
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    layout.write("boxes.csv", rows(f"{image},{label},{corners}", "{name}.png,{kind},2,3,12,13"))
    assert read(of_folder(layout.root)) == ("detection", "csv_boxes", "cat", "dog", 10, 2)


def test_a_column_a_label_is_for_several_labels_of_images_and_texts(layout: Any) -> None:
    layout.picture(*(f"{name}.png" for name in NAMES))
    flags = [(int(name) % 2, int(name) // 2 % 2) for name in NAMES]
    images = [f"{name}.png,{one},{two}" for name, (one, two) in zip(NAMES, flags, strict=True)]
    texts = [f'id{name},"{text}",{one},{two}' for name, text, (one, two) in zip(NAMES, TEXTS, flags, strict=True)]
    layout.write("images.csv", "\n".join(["picture,rude,toxic", *images]))
    layout.write("texts.csv", "\n".join(["id,comment_text,rude,toxic", *texts]))
    assert read(of_file(layout.root / "images.csv")) == ("multilabel", "csv_labels", "rude", "toxic", 10, 2)
    assert read(of_file(layout.root / "texts.csv")) == ("text_multilabel", "text_labels", "rude", "toxic", 10, 2)


def test_images_are_listed_in_csv_alone(layout: Any) -> None:
    layout.picture(*(f"{name}.png" for name in NAMES))
    entries = [json.dumps({"file_name": f"{name}.png", "label": kind(name)}) for name in NAMES]
    layout.write("metadata.jsonl", "\n".join(entries))
    assert of_file(layout.root / "metadata.jsonl") == []


@pytest.mark.parametrize(
    ("name", "header", "line"),
    [
        ("a.csv", "text,label", '"{text}",{kind}'),
        ("a.csv", "label\ttext", "{kind}\t{text}"),
        ("a.csv", "User,OriginalTweet,Sentiment", '{name},"{text}",{kind}'),
        ("a.csv", "v1,v2", '{kind},"{text}"'),
        ("a.csv", "airline_sentiment,retweets,words", '{kind},0,"{text}"'),
        ("labelled.txt", "text\tlabel", "{text}\t{kind}"),
        ("SMSSpamCollection", "label\ttext", "{kind}\t{text}"),
    ],
)
def test_texts_are_found_by_name_or_by_their_words(layout: Any, name: str, header: str, line: str) -> None:
    layout.write(name, rows(header, line))
    layout.write("README.md", "# Reviews, of films\n")
    wanted = ("text", "text_table", "cat", "dog", 10, 2)
    assert read(of_file(layout.root / name)) == wanted
    assert read(of_folder(layout.root)) == wanted


def test_the_training_part_is_learnt_from_whatever_else_its_name_says(layout: Any) -> None:
    for part in ("train", "test"):
        layout.write(f"Corona_NLP_{part}.csv", rows("UserName,OriginalTweet,Sentiment", '{name},"{text}",{kind}'))
    (found,) = of_folder(layout.root)
    assert (found.path, found.options) == (layout.root, {"text_column": "OriginalTweet"})
    assert {str(sample.split) for sample in found.read().samples} == {"train", "val", "test"}
    assert [file.name for file in tables_in(layout.root)] == ["Corona_NLP_train.csv", "Corona_NLP_test.csv"]


def test_numbers_in_another_column_than_usual_are_named(layout: Any) -> None:
    layout.write("a.csv", rows("text,target", '"{text}",{name}.5'))
    assert read(of_file(layout.root / "a.csv")) == ("text_regression", "text_numbers", "target", 10, 2)


@pytest.mark.parametrize("mark", ["\u2028", "\x85", "\x1c", "\x0b"])
def test_json_lines_end_at_line_ends_alone(layout: Any, mark: str) -> None:
    entries = [{"text": f"{text}{mark}{text}", "label": kind(name)} for text, name in zip(TEXTS, NAMES, strict=True)]
    layout.write("a.jsonl", "\n".join(json.dumps(entry, ensure_ascii=False) for entry in entries))
    assert read(of_file(layout.root / "a.jsonl")) == ("text", "text_table", "cat", "dog", 10, 2)


def test_one_line_that_is_not_json_is_named(layout: Any) -> None:
    lines = [json.dumps({"text": text, "label": kind(name)}) for text, name in zip(TEXTS, NAMES, strict=True)]
    layout.write("a.jsonl", "\n".join(["{", *lines]))
    (found,) = of_file(layout.root / "a.jsonl")
    assert found.read().skipped[0].startswith(f"{layout.root / 'a.jsonl'}, line 1: no valid JSON")


@pytest.mark.parametrize("name", ["a.conll", "a.txt", "a.iob"])
def test_one_bad_word_is_named_with_file_and_line(layout: Any, name: str) -> None:
    layout.write(name, CONLL * 3 + "EU B-ORG\nlonely\n\n" + CONLL)
    (found,) = of_file(layout.root / name)
    assert (found.task, found.format) == ("tokens", "conll")
    wanted = (f"{layout.root / name}, line 14: the word 'lonely' has no tag in column -1",)
    assert found.read().skipped == wanted
    assert [one.path for one in of_folder(layout.root)] == [layout.root / name]


def test_universal_dependencies_have_ten_columns(layout: Any) -> None:
    word = "{}\t{}\t_\t{}\t_\t_\t0\t_\t_\t_\n"
    sentence = "# text = The cat\n" + word.format(1, "The", "DET") + word.format(2, "cat", "NOUN") + "\n"
    layout.write("a.conllu", sentence * 12)
    assert read(of_file(layout.root / "a.conllu")) == ("tokens", "conll", "DET", "NOUN", 10, 2)


@pytest.mark.parametrize(
    ("name", "text"),
    [
        ("a.csv", "ham\tis it so\nspam\tno it is not\nham\tyes it is\n"),
        ("a", "ham\tis it so\nspam\tno it is not\nham\tyes it is\n"),
        ("a.csv", "1.png,cat\n2.png,dog\n3.png,cat\n"),
        ("a.txt", "A story, as it were,\nof words and more.\n"),
        ("a.csv", "colour,size\nred,1\nred,2\n"),
        ("a.csv", ""),
    ],
)
def test_what_has_no_header_or_no_label_is_nothing(layout: Any, name: str, text: str) -> None:
    layout.write(name, text)
    assert of_file(layout.root / name) == []


def test_lines_are_those_of_tables_only(layout: Any) -> None:
    layout.write("a", "ham\tis it so\nspam\tno\n")
    layout.write("b", "is it so\nno\n")
    assert lines_of(layout.root / "a") == [["ham", "is it so"], ["spam", "no"]]
    assert lines_of(layout.root / "b") == []


@pytest.mark.parametrize("begin", ["sep=;\n", "\n\n", "sep=;\r\n\r\n", ";\n"])
def test_what_stands_before_the_header_is_passed_over(layout: Any, begin: str) -> None:
    layout.picture(*(f"{name}.png" for name in NAMES))
    layout.write("t.csv", f"{begin}path;label\n" + "\n".join(f"{name}.png;{'ab'[int(name) % 2]}" for name in NAMES))
    layout.write("texts.csv", f"{begin}text;label\n" + "\n".join(f"so {name};{'ab'[int(name) % 2]}" for name in NAMES))
    for name in ("t.csv", "texts.csv"):
        (found,) = of_file(layout.root / name)
        assert (found.read().classes, found.options, len(found.read().samples)) == (("a", "b"), {}, 12)


def test_decimal_commas_are_reported_and_lists_of_labels_are_none(layout: Any) -> None:
    layout.picture(*(f"{name}.png" for name in NAMES))
    layout.write("t.csv", "path;weight\n" + "\n".join(f"{name}.png;{int(name)},5" for name in NAMES))
    (found,) = of_file(layout.root / "t.csv")
    assert found.task == "regression"
    with pytest.raises(
        DataError, match=r"t\.csv, line 2: the column 'weight' .* got '0,5'; write a point for the comma"
    ):
        found.read()
    layout.write("t.csv", "path,label\n" + "\n".join(f'{name}.png,"1,{int(name) % 2}"' for name in NAMES))
    assert [one.task for one in of_file(layout.root / "t.csv")] == ["classification"]


@pytest.mark.parametrize(
    ("path", "said"),
    [
        ("https://x.org/{}.png", "no file https://x.org/00.png; download the images, and name the files"),
        ("/elsewhere/{}.png", "no file /elsewhere/00.png; a path may also start at the table's folder"),
        ("elsewhere/{}.png", "elsewhere/00.png; paths start at"),
    ],
)
def test_a_path_that_leads_nowhere_says_what_would_do(layout: Any, path: str, said: str) -> None:
    layout.write("t.csv", "path,label\n" + "\n".join(f"{path.format(name)},{'ab'[int(name) % 2]}" for name in NAMES))
    (found,) = of_file(layout.root / "t.csv")
    with pytest.raises(DataError, match=re.escape(said)):
        found.read()


def test_paths_written_on_windows_are_found(layout: Any) -> None:
    layout.picture(*(f"a/{name}.png" for name in NAMES))
    layout.write("t.csv", "path,label\n" + "\n".join(f"a\\{name}.png,{'ab'[int(name) % 2]}" for name in NAMES))
    (found,) = of_file(layout.root / "t.csv")
    assert len(found.read().samples) == 12


def test_a_table_without_a_row_says_so(layout: Any) -> None:
    layout.write("t.csv", "path,label\n")
    (found,) = of_file(layout.root / "t.csv")
    with pytest.raises(DataError, match="no row below the header; expected one per image"):
        found.read()


def test_tags_may_come_first_and_what_has_none_is_named(layout: Any) -> None:
    layout.write("a.conll", "\n".join(f"O good\nB-X film{name}\n" for name in NAMES))
    (found,) = of_file(layout.root / "a.conll")
    assert found.options == {"word_column": -1, "tag_column": 0}
    assert found.read().classes == ("O", "B-X")
    layout.write("b.conll", "good\nfilm\n\ngood\n")
    (found,) = of_file(layout.root / "b.conll")
    with pytest.raises(DataError, match=r"b\.conll, line 1: the word 'good' has no tag"):
        found.read()
    layout.write("c.conll", "good O\nfilm B-X\n" * 20)
    (found,) = of_file(layout.root / "c.conll")
    with pytest.raises(DataError, match="40 words in one sentence; an empty line ends a sentence"):
        found.read()
