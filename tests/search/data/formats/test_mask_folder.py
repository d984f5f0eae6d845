from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.formats import mask_folder
from search.data.formats.mask_folder import Options
from search.data.masks import VOID
from search.data.sample import Dataset, Split
from search.errors import DataError


def pair(folder: Path, name: str, values: list[list[Any]], *, images: str = "images", masks: str = "masks") -> None:
    mask = np.array(values, dtype=np.uint8)
    place = (folder / images / name).with_suffix(".jpg")
    place.parent.mkdir(parents=True, exist_ok=True)
    noise = np.random.default_rng(abs(hash(name)) % 1000).integers(0, 255, (*mask.shape[:2], 3), dtype=np.uint8)
    Image.fromarray(noise).save(place)
    target = (folder / masks / name).with_suffix(".png")
    target.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(mask).save(target)


def read(root: Path, **more: Any) -> Dataset:
    return mask_folder.format.read(Options(str(root), **more), Path("/"))


@pytest.mark.parametrize("layout", ["{split}/images", "images/{split}"])
def test_parts_are_folders_around_images_and_masks_or_inside_them(tmp_path: Path, layout: str) -> None:
    for split, count in (("train", 3), ("valid", 2), ("test", 1)):
        for number in range(count):
            if layout.startswith("{"):
                pair(tmp_path / split, f"city/{number}", [[0, 1], [2, 255]])
            else:
                pair(tmp_path, f"{split}/{number}", [[0, 1], [2, 255]])
    found = read(tmp_path)
    assert [len(found.of(split)) for split in Split] == [3, 2, 1]
    assert found.classes == ("0", "1", "2")
    target = found.samples[0].target
    assert target.pixels == ((0, 1), (1, 1), (2, 1))
    assert target.open().tolist() == [[0, 1], [2, VOID]]
    assert hash(target)


def test_without_parts_a_validation_part_is_cut(tmp_path: Path) -> None:
    for number in range(10):
        pair(tmp_path, str(number), [[0, 1 + number % 2]])
    found = read(tmp_path, val_share=0.2, test_share=0.1)
    assert [len(found.of(split)) for split in Split] == [7, 2, 1]
    assert read(tmp_path, val_share=0.2, test_share=0.1).fingerprint == found.fingerprint
    pair(tmp_path, "0", [[1, 0]])
    assert read(tmp_path, val_share=0.2, test_share=0.1).fingerprint != found.fingerprint


def test_names_come_from_the_study_file_from_a_file_or_from_the_values(tmp_path: Path) -> None:
    for number in range(4):
        pair(tmp_path, str(number), [[0, 3, 7]])
    found = read(tmp_path, ignore=(7,))
    assert found.classes == ("0", "3")
    assert found.samples[0].target.open().tolist() == [[0, 1, VOID]]
    names = ("sky", "road", "tree", "car", "a", "b", "c", "void")
    found = read(tmp_path, ignore=(7,), classes=names)
    assert found.classes == names[:7]
    assert found.samples[0].target.open().tolist() == [[0, 3, VOID]]
    (tmp_path / "classes.txt").write_text("\n".join(names) + "\n")
    assert read(tmp_path, ignore=(7,)).classes == names[:7]
    (tmp_path / "classes.txt").write_text("sky\nsky\n")
    with pytest.raises(DataError, match=r"classes\.txt: a name is listed twice"):
        read(tmp_path)


def test_names_of_files_may_have_endings_and_share_a_folder(tmp_path: Path) -> None:
    for number in range(4):
        pair(tmp_path / "all", f"{number}_photo", [[0, 1]], images=".", masks="../unused")
        pair(tmp_path / "all", f"{number}_mask", [[0, 1]], images="../unused", masks=".")
    found = read(tmp_path / "all", images=".", masks=".", image_suffix="_photo", mask_suffix="_mask", val_share=0.25)
    assert len(found.samples) == 4
    with pytest.raises(ValueError, match="need a mask_suffix"):
        Options("x", images=".", masks=".")


def wrong(folder: Path) -> None:
    """Write one good pair, and one with each fault."""
    for number in range(4):
        pair(folder, f"good{number}", [[0, 1], [1, 0]])
    pair(folder, "alone", [[0, 1]])
    (folder / "masks" / "alone.png").unlink()
    pair(folder, "small", [[0, 1], [1, 0]])
    Image.fromarray(np.zeros((2, 1), dtype=np.uint8)).save(folder / "masks" / "small.png")
    pair(folder, "strange", [[0, 9], [1, 0]])
    pair(folder, "colour", [[0, 1], [1, 0]])
    colours = np.array([[[9, 0, 0], [0, 0, 0]], [[0, 9, 0], [0, 0, 0]]], dtype=np.uint8)
    Image.fromarray(colours).save(folder / "masks" / "colour.png")
    pair(folder, "torn", [[0, 1], [1, 0]])
    (folder / "masks" / "torn.png").write_bytes((folder / "masks" / "torn.png").read_bytes()[:40])
    pair(folder, "broken", [[0, 1], [1, 0]])
    (folder / "images" / "broken.jpg").write_bytes(b"no picture")


FAULTS = {
    "alone": r"no mask; expected .*masks/alone\.png",
    "small": r"the image is 2x2 pixels, its mask .*small\.png 1x2",
    "strange": r"strange\.png has the value 9, which is neither one of the 2 classes nor under `ignore`",
    "colour": r"cannot read the mask .*colour\.png: a colour image \(RGB\)",
    "torn": r"cannot read the mask .*torn\.png: ",
    "broken": r"broken\.jpg: not an image",
}


@pytest.mark.parametrize("name", FAULTS)
def test_every_fault_is_refused_by_name(tmp_path: Path, name: str) -> None:
    wrong(tmp_path)
    for other in FAULTS:
        if other != name:
            (tmp_path / "images" / f"{other}.jpg").unlink()
    with pytest.raises(DataError, match=FAULTS[name]) as caught:
        read(tmp_path, classes=("a", "b"))
    assert "on_error: skip" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_faults_are_counted_and_skipped_when_asked(tmp_path: Path) -> None:
    import re

    wrong(tmp_path)
    with pytest.raises(DataError, match=r"\(4 more faults\)"):
        read(tmp_path, classes=("a", "b"))
    found = read(tmp_path, classes=("a", "b"), on_error="skip", val_share=0.25)
    assert len(found.samples) == 4
    assert len(found.skipped) == len(FAULTS)
    for message in FAULTS.values():
        assert sum(bool(re.search(message, line)) for line in found.skipped) == 1


@pytest.mark.parametrize(
    ("prepare", "message"),
    [
        (lambda root: None, r"nowhere does not exist; `data\.path` is relative"),
        (lambda root: root.mkdir(), r"no images found; expected .*images/NAME\.jpg and .*masks/NAME\.png"),
        (lambda root: (root / "images").mkdir(parents=True), r"masks does not exist; expected the masks of"),
        (lambda root: [pair(root, str(n), [[0, 0]]) for n in range(3)], r"the masks hold only the class 0 beside"),
    ],
)
def test_folders_without_use_are_refused_in_one_line(tmp_path: Path, prepare: Any, message: str) -> None:
    prepare(tmp_path / "nowhere")
    with pytest.raises(DataError, match=message):
        read(tmp_path / "nowhere")


def test_a_name_given_twice_is_refused() -> None:
    with pytest.raises(ValueError, match="there is a duplicate"):
        Options("x", classes=("a", "a"))


def test_class_names_that_are_not_text_are_reported(tmp_path: Path) -> None:
    pair(tmp_path, "a", [[0, 1]])
    (tmp_path / "classes.txt").write_bytes(b"\xff\xfe")
    with pytest.raises(DataError, match=r"classes\.txt is not UTF-8 text"):
        read(tmp_path)


def test_nothing_that_can_be_used_says_why(tmp_path: Path) -> None:
    for number in range(3):
        pair(tmp_path, str(number), [[0, 1, 2]])
    (tmp_path / "classes.txt").write_text("sky\nroad\n")
    with pytest.raises(DataError, match=r"none of the 3 images can be used; the first: .* has the value 2"):
        read(tmp_path, on_error="skip")


@pytest.mark.parametrize("names", [(), ("ground", "road")])
def test_black_and_white_masks_have_two_classes(tmp_path: Path, names: tuple[str, ...]) -> None:
    for number in range(4):
        pair(tmp_path, str(number), [[0, 255], [255, 255]])
    found = read(tmp_path, classes=names)
    assert found.classes == (names or ("0", "255"))
    for sample in found.samples:
        assert sample.target.open().tolist() == [[0, 1], [1, 1]]
        assert sample.target.pixels == ((0, 1), (1, 3))


def test_255_counts_for_nothing_beside_other_values_or_where_the_study_says_so(tmp_path: Path) -> None:
    for number in range(4):
        pair(tmp_path, str(number), [[0, 255], [1, 255]])
    assert read(tmp_path).classes == ("0", "1")
    for number in range(4):
        pair(tmp_path, str(number), [[0, 255], [0, 255]])
    with pytest.raises(DataError, match=r"the masks hold only the class 0 beside"):
        read(tmp_path, ignore=(255, 7))


def test_colours_are_classes_where_a_file_names_them(tmp_path: Path) -> None:
    road, pole = [128, 64, 128], [0, 0, 255]
    for number in range(4):
        pair(tmp_path, str(number), [[road, pole], [pole, road if number else pole]])
    (tmp_path / "colours.csv").write_text("name,r,g,b\nRoad,128,64,128\nPole,0,0,255\n")
    found = read(tmp_path, colours="colours.csv", val_share=0.25)
    assert found.classes == ("Road", "Pole")
    assert sorted(sample.target.open().tolist() for sample in found.samples) == [[[0, 1], [1, 0]]] * 3 + [
        [[0, 1], [1, 1]]
    ]
    (tmp_path / "colours.csv").write_text("Pole,0,0,255\nRoad,128,64,128\n")
    turned = read(tmp_path, colours="colours.csv", val_share=0.25)
    assert turned.classes == ("Pole", "Road")
    assert turned.fingerprint != found.fingerprint
    (tmp_path / "colours.csv").write_text("Pole,0,0,255\nSky,1,1,1\n")
    with pytest.raises(DataError, match="has the value #804080, which is neither one of the 2 classes"):
        read(tmp_path, colours="colours.csv")
