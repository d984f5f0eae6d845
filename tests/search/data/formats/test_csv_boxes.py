from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from search.data.formats.csv_boxes import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError

HEADER = "filename,width,height,class,xmin,ymin,xmax,ymax"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """Six images of 40x20 pixels in train and two in valid, each with an ant and a bee, as Roboflow lays them out."""
    for split, numbers in (("train", range(6)), ("valid", range(6, 8))):
        (tmp_path / split).mkdir()
        rows = [HEADER]
        for number in numbers:
            Image.new("RGB", (40, 20), (30 * number, 0, 0)).save(tmp_path / split / f"{number}.png")
            rows += [f"{number}.png,40,20,ant,0,0,20,10", f"{number}.png,40,20,bee,20,10,40,20"]
        (tmp_path / split / "_annotations.csv").write_text("\n".join(rows) + "\n")
    return tmp_path


def test_rows_of_one_image_are_its_boxes(folder: Path) -> None:
    found = format.read(Options(str(folder)), Path.cwd())
    assert found.classes == ("ant", "bee")
    assert [len(found.of(split)) for split in Split] == [6, 2, 0]
    first, second = found.samples[0].target.boxes
    assert (first.label, first.left, first.top, first.right, first.bottom) == (0, 0, 0, 0.5, 0.5)
    assert (second.label, second.left, second.top, second.right, second.bottom) == (1, 0.5, 0.5, 1, 1)


def test_a_single_table_is_cut_and_its_columns_may_have_other_names(folder: Path) -> None:
    text = (folder / "train/_annotations.csv").read_text()
    (folder / "boxes.csv").write_text(text.replace("filename", "image").replace(".png", "").replace("class", "name"))
    options = Options("boxes.csv", root="train", path_column="image", label_column="name", val_share=0.34)
    found = format.read(options, folder)
    assert [len(found.of(split)) for split in Split] == [4, 2, 0]


def test_an_image_without_a_box_is_background(folder: Path) -> None:
    Image.new("RGB", (40, 20), (0, 200, 0)).save(folder / "train/empty.png")
    with (folder / "train/_annotations.csv").open("a") as file:
        file.write("empty.png,40,20,,,,,\n")
    found = format.read(Options(str(folder)), Path.cwd())
    assert sorted(len(sample.target.boxes) for sample in found.of(Split.TRAIN)) == [0, 2, 2, 2, 2, 2, 2]


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ("0.png,40,20,ant,5,5,x,9", r"line 14: the column 'xmax' must hold a finite number, got 'x'"),
        ("0.png,40,20,,5,5,8,9", r"line 14: the column 'class' is empty; every row needs a class"),
        ("9.png,40,20,ant,5,5,8,9", r"line 14: no file .*9\.png"),
        ("0.png,40,20,ant,5,5,3,9", r"line 14: the box \(5, 5, 3, 9\) of class 'ant' has no area"),
    ],
)
def test_faults_are_named_or_left_out_and_listed(folder: Path, row: str, message: str) -> None:
    with (folder / "train/_annotations.csv").open("a") as file:
        file.write(f"{row}\n")
    with pytest.raises(DataError, match=message):
        format.read(Options(str(folder)), Path.cwd())
    found = format.read(Options(str(folder), on_error="skip"), Path.cwd())
    assert (len(found.samples), len(found.skipped)) == (8, 1)


def test_a_table_without_corners_is_refused(tmp_path: Path) -> None:
    (tmp_path / "a.csv").write_text("filename,class\n1.png,ant\n")
    with pytest.raises(DataError, match="no column 'xmin'; the header has filename, class"):
        format.read(Options(str(tmp_path / "a.csv")), Path.cwd())
