from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.errors import DataError, UserError
from search.new_study.detect import recognise

VOC = "<annotation><object><name>a</name></object></annotation>"
CONLL = "EU B-ORG\nrejects O\n\nPeter B-PER\n"


def picture(path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.zeros((8, 8), np.uint8)).save(path)


def write(path: Path, text: str) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text)


def coco(path: Path, **more: Any) -> None:
    annotation = {"id": 1, "image_id": 1, "category_id": 1, "bbox": [0, 0, 4, 4], **more}
    images, categories = [{"id": 1, "file_name": "a.png"}], [{"id": 1, "name": "a"}]
    write(path, json.dumps({"images": images, "annotations": [annotation], "categories": categories}))


def told(path: Path, task: str | None = None) -> tuple[str, str]:
    found = recognise(path, task)
    return found.task, found.format


def test_folders_of_classes_are_reported_with_parts_and_without(tmp_path: Path) -> None:
    for name in ("ants", "bees"):
        picture(tmp_path / "plain" / name / "1.png")
        picture(tmp_path / "parted" / "train" / name / "1.png")
        picture(tmp_path / "parted" / "val" / name / "1.png")
    assert told(tmp_path / "plain") == told(tmp_path / "parted") == ("classification", "image_folder")


@pytest.mark.parametrize(
    "place", ["annotations/instances_train2017.json", "train/_annotations.coco.json", "boxes.json"]
)
def test_coco_is_reported_by_its_content(tmp_path: Path, place: str) -> None:
    picture(tmp_path / "train" / "a.png")
    picture(tmp_path / "val" / "a.png")
    coco(tmp_path / place)
    assert told(tmp_path) == ("detection", "coco")
    assert told(tmp_path / place) == ("detection", "coco")


def test_voc_is_reported_in_its_own_folders_and_beside_images(tmp_path: Path) -> None:
    write(tmp_path / "voc" / "Annotations" / "1.xml", VOC)
    picture(tmp_path / "voc" / "JPEGImages" / "1.png")
    write(tmp_path / "beside" / "train" / "1.xml", VOC)
    write(tmp_path / "flat" / "1.xml", VOC)
    for name in ("voc", "beside", "flat"):
        assert told(tmp_path / name) == ("detection", "voc")


def test_yolo_is_reported_by_its_description_or_its_labels(tmp_path: Path) -> None:
    write(tmp_path / "described" / "data.yaml", "train: ../train/images\nval: ../valid/images\nnames: [a]\n")
    write(tmp_path / "plain" / "labels" / "train" / "1.txt", "0 0.5 0.5 0.1 0.1\n")
    picture(tmp_path / "plain" / "images" / "train" / "1.png")
    assert told(tmp_path / "described") == told(tmp_path / "plain") == ("detection", "yolo")


@pytest.mark.parametrize("names", [("images", "masks"), ("images", "labels"), ("JPEGImages", "SegmentationClass")])
@pytest.mark.parametrize("outer", ["", "train"])
def test_masks_are_reported_by_their_folders(tmp_path: Path, names: tuple[str, str], outer: str) -> None:
    for name in names:
        picture(tmp_path / outer / name / "1.png")
    found = recognise(tmp_path)
    assert (found.task, found.format) == ("segmentation", "mask_folder")
    assert found.options == ({} if names == ("images", "masks") else {"images": names[0], "masks": names[1]})


def test_parts_inside_images_and_masks_are_reported_too(tmp_path: Path) -> None:
    for name in ("images", "masks"):
        picture(tmp_path / name / "train" / "1.png")
    assert told(tmp_path) == ("segmentation", "mask_folder")


@pytest.mark.parametrize(
    ("name", "text", "expected"),
    [
        ("a.csv", "text,label\ngood,1\nbad,0\n", ("text", "text_table")),
        ("a.tsv", "sentence\tlabel\ngood\tyes\n", ("text", "text_table")),
        ("a.jsonl", '{"text": "good", "label": "yes"}\n', ("text", "text_table")),
        ("a.json", '[{"review": "good", "sentiment": "yes"}]', ("text", "text_table")),
        ("a.jsonl", '{"text": "good", "labels": ["x", "y"]}\n', ("text_multilabel", "text_labels")),
        ("a.csv", "text,labels\ngood,x;y\nbad,x\n", ("text_multilabel", "text_labels")),
        ("a.csv", "sentence1,sentence2,score\na,b,3.5\nc,d,1\n", ("text_regression", "text_numbers")),
        ("a.csv", "path,label\n1.png,cat\n", ("classification", "csv")),
        ("a.csv", "path,labels\n1.png,cat;dog\n", ("multilabel", "csv_labels")),
        ("a.csv", "path,target\n1.png,0.5\n", ("regression", "csv_numbers")),
        ("a.csv", "path,weight,age,split\n1.png,0.5,3,train\n", ("regression", "csv_numbers")),
        ("a.csv", "image,cat,dog\n1.png,1,0\n2.png,0,1\n", ("multilabel", "csv_labels")),
        ("a.conll", CONLL, ("tokens", "conll")),
        ("a.txt", CONLL, ("tokens", "conll")),
    ],
)
def test_a_table_is_reported_by_its_columns_and_labels(tmp_path: Path, name: str, text: str, expected: Any) -> None:
    write(tmp_path / name, text)
    assert told(tmp_path / name) == expected


def test_columns_of_other_names_go_into_the_study_file(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "filename,class\n1.png,cat\n")
    assert recognise(tmp_path / "a.csv").options == {"path_column": "filename", "label_column": "class"}


def test_columns_that_are_called_after_what_they_say_are_the_targets(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "img,weight,age,split\n1.png,0.5,3,train\n")
    assert recognise(tmp_path / "a.csv").options == {"path_column": "img", "target_columns": ["weight", "age"]}
    write(tmp_path / "b.csv", "path,cat,dog\n1.png,1,0\n")
    assert recognise(tmp_path / "b.csv").options == {"label_columns": ["cat", "dog"]}


@pytest.mark.parametrize("index", ["id", "index", "...1", "X", "rownames", "Unnamed: 0.1", "patient_id"])
def test_a_column_that_counts_the_rows_is_not_a_target(tmp_path: Path, index: str) -> None:
    numbers = [(37 * place) % 101 if "id" in index else place + 1 for place in range(20)]
    rows = [f"{number},{place}.png,{20 + place * 0.5}\n" for place, number in enumerate(numbers)]
    write(tmp_path / "a.csv", f"{index},path,age\n{''.join(rows)}")
    assert recognise(tmp_path / "a.csv").options == {"target_columns": ["age"]}


def test_whole_numbers_that_recur_or_jump_are_targets(tmp_path: Path) -> None:
    rows = [f"{place}.png,{(7 * place) % 31},{place // 2}\n" for place in range(20)]
    write(tmp_path / "a.csv", f"path,age,visit_no\n{''.join(rows)}")
    assert recognise(tmp_path / "a.csv").options == {"target_columns": ["age", "visit_no"]}


def test_tagged_words_are_found_in_files_called_tsv(tmp_path: Path) -> None:
    for part in ("train", "dev"):
        write(tmp_path / f"{part}.tsv", "Ada\tB-PER\nis\tO\nin\tO\nRome\tB-LOC\n\n" * 5)
    found = recognise(tmp_path)
    assert (found.task, found.format) == ("tokens", "conll")
    assert recognise(tmp_path / "dev.tsv").format == "conll"


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        ("annotations.json", b"<html>404</html>", "annotations.json: not JSON: Expecting value: line 1"),
        ("annotations.json", b'{"images": [{"id": 1}', "annotations.json: not JSON: Expecting ',' delimiter"),
        ("t.csv", "text,label\nhällo,a\n".encode("utf-16"), "t.csv is not UTF-8 text: invalid start byte at byte 0"),
    ],
)
def test_a_folder_says_why_its_only_table_cannot_be_read(tmp_path: Path, name: str, content: bytes, cause: str) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises((UserError, DataError), match=cause):
        recognise(tmp_path)


def test_an_unknown_table_is_reported_with_its_columns_and_one_that_cannot_be_read_why(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "path;label\n1.png;cat;1\n")
    with pytest.raises(UserError, match=r"path;label; columns seem to be separated by semicolons.*known are"):
        recognise(tmp_path / "a.csv")
    with pytest.raises(UserError, match=r"; the header of a\.csv has path;label; columns seem"):
        recognise(tmp_path)
    write(tmp_path / "b.csv", "path,colour\n1.png,red\n")
    with pytest.raises(
        UserError, match=r"header of b\.csv has path, colour; known are columns of images \(path, image, "
    ):
        recognise(tmp_path / "b.csv")
    (tmp_path / "c.csv").write_bytes("text,label\né,1\n".encode("latin-1"))
    with pytest.raises(UserError, match=r"c\.csv is not UTF-8 text"):
        recognise(tmp_path / "c.csv")
    (tmp_path / "d.jsonl").write_bytes(b"\xff\xfe")
    (tmp_path / "e.json").write_text("[" * 100_000)
    for name, why in (("d.jsonl", "is not UTF-8 text"), ("e.json", "no data of a known kind")):
        with pytest.raises(UserError, match=why):
            recognise(tmp_path / name)


def test_a_folder_of_tables_is_reported_by_its_training_part(tmp_path: Path) -> None:
    for part in ("train", "dev", "test"):
        write(tmp_path / "texts" / f"{part}.tsv", "sentence\tlabel\ngood\t1\n")
        write(tmp_path / "tags" / f"{part}.txt", CONLL)
    write(tmp_path / "texts" / "notes.txt", "not data\n")
    assert told(tmp_path / "texts") == ("text", "text_table")
    assert told(tmp_path / "tags") == ("tokens", "conll")


def test_data_for_two_tasks_ask_for_one(tmp_path: Path) -> None:
    coco(tmp_path / "outlines.json", segmentation=[[0, 0, 4, 0, 4, 4]])
    with pytest.raises(UserError, match=r"may be two things: .*--task detection or --task segmentation"):
        recognise(tmp_path)
    assert told(tmp_path, "segmentation") == ("segmentation", "coco_masks")
    assert told(tmp_path / "outlines.json", "detection") == ("detection", "coco")


def test_the_same_task_in_two_formats_asks_for_a_folder(tmp_path: Path) -> None:
    coco(tmp_path / "a.json")
    write(tmp_path / "Annotations" / "1.xml", VOC)
    with pytest.raises(UserError, match="twice"):
        recognise(tmp_path, "detection")


def test_what_is_nothing_is_refused_with_what_is_known(tmp_path: Path) -> None:
    write(tmp_path / "notes.txt", "just some words\nand more\n")
    write(tmp_path / "broken.json", "{")
    write(tmp_path / "table.csv", "x,y\n1,2\n")
    for path in (tmp_path, *tmp_path.iterdir()):
        with pytest.raises(UserError, match="no data of a known kind; expected a folder"):
            recognise(path)
    with pytest.raises(UserError, match="does not exist"):
        recognise(tmp_path / "nowhere")
    picture(tmp_path / "1.png")
    with pytest.raises(UserError, match="a single image"):
        recognise(tmp_path / "1.png")


def test_another_task_than_the_data_are_for_is_refused_with_what_they_are(tmp_path: Path) -> None:
    write(tmp_path / "a.csv", "text,label\ngood,1\n")
    with pytest.raises(UserError, match=r"but a\.csv with .* \(text\); try --task text"):
        recognise(tmp_path / "a.csv", "detection")


def test_an_archive_is_looked_into_and_its_inner_folder_named(tmp_path: Path) -> None:
    for name in ("ants", "bees"):
        picture(tmp_path / "flat" / "flowers" / name / "1.png")
        picture(tmp_path / "deep" / "archive" / "flowers" / "train" / name / "1.png")
    write(tmp_path / "flat" / "__MACOSX" / "flowers" / "._x.png", "")
    write(tmp_path / "table" / "archive" / "reviews.csv", "text,label\ngood,1\nbad,0\n")
    write(tmp_path / "table" / "archive" / "LICENSE", "Free, as it were\n")
    wanted = {"flat": "flowers", "deep": "archive/flowers", "table": "archive/reviews.csv"}
    assert {name: str(recognise(tmp_path / name).path.relative_to(tmp_path / name)) for name in wanted} == wanted


def test_an_archive_of_several_data_sets_asks_for_one(tmp_path: Path) -> None:
    for year in (2007, 2012):
        write(tmp_path / f"VOC{year}" / "Annotations" / "1.xml", VOC)
    with pytest.raises(UserError, match=r"several times: VOC2007: Annotations/\*\.xml .* and VOC2012: .*name the f"):
        recognise(tmp_path)


def test_a_system_file_is_never_what_is_recognised(tmp_path: Path) -> None:
    write(tmp_path / "__MACOSX" / "Annotations" / "1.xml", VOC)
    write(tmp_path / "._1.xml", VOC)
    write(tmp_path / "@eaDir" / "data.yaml", "train: a\nnames: [a]\n")
    write(tmp_path / ".ipynb_checkpoints" / "labels.csv", "text,label\ngood,1\n")
    coco(tmp_path / "__MACOSX" / "a.json")
    for name in ("images", "masks"):
        picture(tmp_path / "@eaDir" / name / "1.png")
    with pytest.raises(UserError, match=r"no data of a known kind; .*; it is empty$"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("name", "text", "header"),
    [
        ("SMSSpamCollection", "ham\tis it so\nspam\tno, not\nham\tyes\n", "`label,text` with tabs for commas"),
        ("sms.tsv", "ham\tis it so\nspam\tno, not\nham\tyes\n", "`label,text` with tabs for commas"),
        ("sms.csv", "ham,is it so\nspam,no not\nham,yes\n", "`label,text`"),
        ("labelled.txt", "is it so\t1\nno not\t0\n", "`text,label` with tabs for commas"),
        ("list.csv", "1.png,cat\n2.png,dog\n", "`path,label`"),
    ],
)
def test_a_table_without_a_header_is_reported_with_one_that_would_do(
    tmp_path: Path, name: str, text: str, header: str
) -> None:
    write(tmp_path / name, text)
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=f"no header, as line 1 is .*: .* such as {re.escape(header)}$"):
            recognise(path)


def test_of_tables_that_are_not_known_the_training_part_is_offered(tmp_path: Path) -> None:
    for part in ("test", "train", "a_test"):
        write(tmp_path / f"{part}.csv", "x,y\n1,2\n")
    with pytest.raises(UserError, match=r"tables in it \(train\.csv, .*\): name one of them, as .*/train\.csv"):
        recognise(tmp_path)


@pytest.mark.parametrize(
    ("name", "advice"),
    [
        ("a.zip", "a.zip is an archive: unpack it"),
        ("a.csv.gz", "a.csv.gz is an archive: unpack it"),
        ("a.xlsx", "a.xlsx is a spreadsheet: save it as CSV"),
        ("train-00000.parquet", "is Parquet: name its folder as `dataset` of the format hf_text"),
    ],
)
def test_files_that_are_to_be_converted_say_how(tmp_path: Path, name: str, advice: str) -> None:
    write(tmp_path / name, "PK")
    for path in (tmp_path, tmp_path / name):
        with pytest.raises(UserError, match=re.escape(advice)):
            recognise(path)


def test_a_folder_of_plain_files_says_what_is_in_it(tmp_path: Path) -> None:
    for number in range(3):
        write(tmp_path / "texts" / "train" / "pos" / f"{number}.txt", "a film")
        picture(tmp_path / "images" / f"{number}.png")
    with pytest.raises(UserError, match=r"it holds 3 \.txt; texts in files of their own are not read: put them into"):
        recognise(tmp_path / "texts")
    with pytest.raises(UserError, match=r"it holds 3 \.png; nothing says what they show: sort them into"):
        recognise(tmp_path / "images")


@pytest.mark.parametrize("name", ["1.xml", "data.yaml", "a.json", "labels/1.txt", "1.png", "train.csv", "a.conll"])
def test_folders_pipes_and_dangling_links_called_like_files_are_not_data(tmp_path: Path, name: str) -> None:
    for place, make in (("folder", Path.mkdir), ("pipe", os.mkfifo), ("link", lambda path: path.symlink_to("nowhere"))):
        path = tmp_path / place / name
        path.parent.mkdir(parents=True)
        make(path)
        with pytest.raises(UserError, match="no data of a known kind"):
            recognise(tmp_path / place)
    with pytest.raises(UserError, match="is neither a file nor a folder"):
        recognise(tmp_path / "pipe" / name)


@pytest.mark.parametrize(
    ("name", "content", "cause"),
    [
        (
            "labels.txt",
            "a.png 1\nb.png 0\n",
            "are separated by blanks: put commas there, and a header in front, such as",
        ),
        (
            "labels.txt",
            "path label\na.png 1\nb.png 0\n",
            "separated by blanks: put commas there; its first line names them",
        ),
        (
            "ratings.dat",
            "1::1193::5::978300760\n1::661::3::978302109\n",
            "the 4 columns of ratings.dat are separated by ::: put commas there, quotes around what holds some, and a",
        ),
        ("movies.csv", "1::Toy Story (1995)::Animation|Comedy\n2::It, too::Drama\n", "movies.csv are separated by ::"),
        ("train.txt", "__label__a is it so\n__label__b no\n", "train.txt is in fastText's form: put its texts into"),
        (
            "train.jsonl",
            "{'text': 'a'}\n{'text': 'b'}\n",
            "train.jsonl, line 1: no valid JSON: Expecting property name",
        ),
        ("train.jsonl", '{"data": {"a": 1}}\n', "the objects in train.jsonl have data; known are columns of images"),
        (
            "train.json",
            '{"data": [{"text": "a"}]}',
            "it lacks the list 'images'; as a table, it would be a list of objects",
        ),
        ("x.json", '{"images": [], "annotations": [], "categories": []}', "x.json: the list 'annotations' is empty"),
        ("a.heic", "x", "a.heic is an image of another kind: save it as JPEG or PNG"),
    ],
)
def test_a_file_in_a_form_that_is_not_read_says_what_to_do(tmp_path: Path, name: str, content: str, cause: str) -> None:
    write(tmp_path / name, content)
    with pytest.raises(UserError, match=re.escape(cause)) as told:
        recognise(tmp_path)
    assert "there are tables" not in str(told.value)


def test_known_tables_without_a_training_part_are_not_said_to_lack_columns(tmp_path: Path) -> None:
    for name in ("fold_1.csv", "fold_2.csv"):
        write(tmp_path / name, "text,label\nso good,1\nso bad,0\n")
    with pytest.raises(
        UserError, match=r"none of the tables in it \(fold_1\.csv, fold_2\.csv\) is called train.*1\.csv$"
    ):
        recognise(tmp_path)
