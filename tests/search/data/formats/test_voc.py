from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from search.data.formats.voc import Options, format  # noqa: A004
from search.data.sample import Split
from search.errors import DataError


def annotation(boxes: list[tuple[str, int, int, int, int]], filename: str = "") -> str:
    objects = "".join(
        f"<object><name>{name}</name><difficult>{int(name == 'bee')}</difficult><bndbox><xmin>{left}</xmin>"
        f"<ymin>{top}</ymin><xmax>{right}</xmax><ymax>{bottom}</ymax></bndbox></object>"
        for name, left, top, right, bottom in boxes
    )
    return f"<annotation><filename>{filename}</filename>{objects}</annotation>"


ANT, BEE = ("ant", 0, 0, 20, 10), ("bee", 20, 20, 40, 40)


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """Six images of 40x40 pixels, each with an ant and a bee, laid out as Pascal VOC."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (tmp_path / folder).mkdir(parents=True)
    for number in range(6):
        Image.new("RGB", (40, 40), (number * 40, 0, 0)).save(tmp_path / "JPEGImages" / f"{number}.jpg")
        (tmp_path / "Annotations" / f"{number}.xml").write_text(annotation([ANT, BEE]))
    (tmp_path / "ImageSets/Main/train.txt").write_text("0\n1\n2\n")
    (tmp_path / "ImageSets/Main/val.txt").write_text("3\n4\n")
    (tmp_path / "ImageSets/Main/test.txt").write_text("5\n")
    (tmp_path / "ImageSets/Main/ant_train.txt").write_text("0 1\n1 -1\n")
    return tmp_path


def test_images_boxes_and_splits_are_read(root: Path) -> None:
    found = format.read(Options(str(root)), Path.cwd())
    assert found.classes == ("ant", "bee")
    assert [len(found.of(split)) for split in Split] == [3, 2, 1]
    target = found.samples[0].target
    assert (target.width, target.height) == (40, 40)
    first = target.boxes[0]
    assert (first.label, first.left, first.top, first.right, first.bottom) == (0, 0, 0, 0.5, 0.25)


def test_without_lists_the_images_are_cut(root: Path) -> None:
    for file in (root / "ImageSets/Main").iterdir():
        file.unlink()
    found = format.read(Options(str(root), val_share=0.3), Path.cwd())
    assert len(found.of(Split.VAL)) == 2


def test_files_beside_their_images_in_folders_by_split_are_read(root: Path, tmp_path: Path) -> None:
    for split, numbers in (("train", (0, 1)), ("valid", (2,))):
        (root / "flat" / split).mkdir(parents=True)
        for number in numbers:
            (root / "JPEGImages" / f"{number}.jpg").rename(root / "flat" / split / f"{number}.jpg")
            (root / "Annotations" / f"{number}.xml").rename(root / "flat" / split / f"{number}.xml")
    found = format.read(Options(str(root / "flat")), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [2, 1, 0]


def test_an_image_under_another_name_is_found_by_what_the_annotation_says(root: Path) -> None:
    (root / "JPEGImages/0.jpg").rename(root / "JPEGImages/renamed.jpg")
    (root / "Annotations/0.xml").write_text(annotation([ANT], "renamed.jpg"))
    assert len(format.read(Options(str(root)), Path.cwd()).samples) == 6


def test_difficult_boxes_can_be_ignored(root: Path) -> None:
    (root / "Annotations/0.xml").write_text(annotation([ANT]))
    with pytest.raises(DataError, match="no training image has a box of class 'bee'"):
        format.read(Options(str(root), difficult="ignore"), Path.cwd())


@pytest.mark.parametrize(
    ("boxes", "message"),
    [
        ([("ant", 5, 5, 5, 20)], r"0.xml, object 1: the box \(5, 5, 5, 20\) of class 'ant' has no area"),
        ([("ant", 30, 5, 10, 20)], "has no area"),
        ([ANT, ("ant", 5, 5, 60, 20)], r"object 2: .* extends beyond its image of 40x40 pixels"),
        ([("wasp", 5, 5, 20, 20)], "unknown class 'wasp'; expected one of ant, bee"),
    ],
)
def test_bad_boxes_are_named_or_left_out_and_listed(
    root: Path, boxes: list[tuple[str, int, int, int, int]], message: str
) -> None:
    (root / "Annotations/0.xml").write_text(annotation(boxes))
    options = Options(str(root), classes=("ant", "bee"))
    with pytest.raises(DataError, match=message) as caught:
        format.read(options, Path.cwd())
    assert "set `on_error: skip`" in str(caught.value)
    assert "\n" not in str(caught.value)
    found = format.read(Options(str(root), classes=("ant", "bee"), on_error="skip"), Path.cwd())
    assert len(found.skipped) == 1
    assert len(found.samples) == 6
    assert all(0 <= box.left < box.right <= 1 for sample in found.samples for box in sample.target.boxes)


def test_missing_and_broken_files_are_named_or_left_out_and_listed(root: Path) -> None:
    (root / "JPEGImages/0.jpg").unlink()
    (root / "JPEGImages/1.jpg").write_text("no image")
    (root / "Annotations/3.xml").write_text("<annotation>")
    (root / "Annotations/4.xml").write_text(annotation([("ant", 1, 2, 3, 4)]).replace("<xmin>1", "<xmin>one"))
    (root / "Annotations/5.xml").unlink()
    with pytest.raises(DataError, match=r"test.txt lists 5, .* does not exist \(4 more faults\)"):
        format.read(Options(str(root)), Path.cwd())
    found = format.read(Options(str(root), on_error="skip"), Path.cwd())
    assert len(found.samples) == 2
    text = "\n".join(found.skipped)
    for part in ("0.jpg does not exist", "1.jpg cannot be read", "3.xml: not XML", "needs a `bndbox`"):
        assert part in text


def test_an_image_in_two_lists_is_refused(root: Path) -> None:
    (root / "ImageSets/Main/val.txt").write_text("0\n3\n")
    with pytest.raises(DataError, match="0 is listed in both"):
        format.read(Options(str(root)), Path.cwd())


def test_a_folder_without_annotations_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no XML annotations"):
        format.read(Options(str(tmp_path)), Path.cwd())
    with pytest.raises(DataError, match="does not exist"):
        format.read(Options("gone"), tmp_path)


def test_xml_of_another_kind_is_not_an_image_without_objects(root: Path) -> None:
    (root / "Annotations/0.xml").write_text("<html><body/></html>")
    with pytest.raises(DataError, match=r"0\.xml: begins with <html>; expected <annotation>"):
        format.read(Options(str(root)), Path.cwd())
    found = format.read(Options(str(root), on_error="skip"), Path.cwd())
    assert [len(found.of(split)) for split in Split] == [2, 2, 1]
    assert "begins with <html>" in found.skipped[0]


def test_a_list_that_is_not_text_is_reported(root: Path) -> None:
    (root / "ImageSets/Main/val.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"val\.txt is not UTF-8 text"):
        format.read(Options(str(root)), Path.cwd())
