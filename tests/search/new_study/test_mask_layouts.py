from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.sample import Split
from search.errors import DataError
from search.new_study.detect import recognise
from search.new_study.mask_layouts import is_no_class, of_folder

NAMES = [f"{number:02d}" for number in range(12)]
PARTS = {"train": NAMES[:8], "val": NAMES[8:]}


def read(layout: Any) -> Any:
    (found,) = of_folder(layout.root)
    data = found.read()
    assert not data.skipped
    return data


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images", "masks"),
        ("Images", "Masks"),
        ("image", "label"),
        ("img", "gt"),
        ("JPEGImages", "SegmentationClassPNG"),
        ("images", "annotations/trimaps"),
        ("train", "train_masks"),
        ("train", "trainannot"),
        ("photographs", "painted"),
    ],
)
@pytest.mark.parametrize("ending", ["", "_mask", "_segmentation"])
def test_masks_lie_in_folders_of_any_name(layout: Any, images: str, masks: str, ending: str) -> None:
    layout.picture(*(f"{images}/{name}.jpg" for name in NAMES))
    layout.mask(*(f"{masks}/{name}{ending}.png" for name in NAMES))
    layout.mask(*(f"{masks}/._{name}{ending}.png" for name in NAMES))
    data = read(layout)
    assert data.classes == ("0", "1")
    assert [len(data.of(split)) for split in (Split.TRAIN, Split.VAL)] == [10, 2]


@pytest.mark.parametrize(
    ("images", "masks"),
    [("{}", "{}annot"), ("{}", "{}_labels"), ("{}_images", "{}_masks"), ("images_{}", "masks_{}"), ("{}", "gt_{}")],
)
@pytest.mark.parametrize("validation", ["val", "valid"])
def test_parts_beside_the_training_part_are_taken(layout: Any, images: str, masks: str, validation: str) -> None:
    parts = {"train": NAMES[:6], validation: NAMES[6:9], "test": NAMES[9:]}
    for part, names in parts.items():
        layout.picture(*(f"{images.format(part)}/{name}.png" for name in names))
        layout.mask(*(f"{masks.format(part)}/{name}.png" for name in names))
    data = read(layout)
    assert [len(data.of(split)) for split in (Split.TRAIN, Split.VAL, Split.TEST)] == [6, 3, len(NAMES) - 9]
    assert {Path(sample.input.name).parent.name for sample in data.of(Split.TEST)} == {images.format("test")}
    assert all(sample.target.path.parent.name == masks.format("test") for sample in data.of(Split.TEST))


@pytest.mark.parametrize("ending", ["_mask", "_segmentation", "_L"])
def test_masks_lie_in_the_folder_of_their_images(layout: Any, ending: str) -> None:
    layout.picture(*(f"{name}.jpg" for name in NAMES))
    layout.mask(*(f"{name}{ending}.png" for name in NAMES))
    data = read(layout)
    assert (data.classes, len(data.samples), data.notes) == (("0", "1"), 12, ())


def test_masks_of_cityscapes_have_names_of_their_own(layout: Any) -> None:
    for part, names in PARTS.items():
        for name in names:
            layout.picture(f"leftImg8bit/{part}/ulm/ulm_{name}_000019_leftImg8bit.png")
            layout.mask(f"gtFine/{part}/ulm/ulm_{name}_000019_gtFine_instanceIds.png", values=(0, 7))
            layout.mask(f"gtFine/{part}/ulm/ulm_{name}_000019_gtFine_labelIds.png", values=(0, 1, 2))
    data = read(layout)
    assert data.classes == ("0", "1", "2")
    assert [len(data.of(split)) for split in (Split.TRAIN, Split.VAL)] == [8, 4]


@pytest.mark.parametrize(("images", "masks"), [("{}/images", "{}/masks"), ("images/{}", "annotations/{}")])
def test_parts_are_kept(layout: Any, images: str, masks: str) -> None:
    for part, names in PARTS.items():
        layout.picture(*(f"{images.format(part)}/{name}.jpg" for name in names))
        layout.mask(*(f"{masks.format(part)}/{name}.png" for name in names))
    assert [len(read(layout).of(split)) for split in (Split.TRAIN, Split.VAL)] == [8, 4]


def test_lists_of_voc_say_which_images_have_masks(layout: Any) -> None:
    layout.picture(*(f"JPEGImages/{name}.jpg" for name in (*NAMES, "without-1", "without-2")))
    layout.mask(*(f"SegmentationClass/{name}.png" for name in NAMES), values=(0, 1, 255))
    layout.mask(*(f"SegmentationObject/{name}.png" for name in NAMES), values=(0, 1, 2))
    for part, names in PARTS.items():
        layout.write(f"ImageSets/Segmentation/{part}.txt", "\n".join(names))
    data = read(layout)
    assert data.classes == ("0", "1")
    assert [len(data.of(split)) for split in (Split.TRAIN, Split.VAL)] == [8, 4]


def test_black_and_white_masks_have_two_classes_and_soft_edges_are_reported(layout: Any) -> None:
    layout.picture(*(f"images/{name}.jpg" for name in NAMES))
    layout.mask(*(f"masks/{name}.png" for name in NAMES), values=(0, 255))
    data = read(layout)
    assert (data.classes, data.notes) == (("0", "255"), ())
    layout.mask("masks/03.png", values=(0, 3, 250, 255))
    data = read(layout)
    assert data.notes[0].startswith("every value of the masks is taken for a class: 0, 3, 250 (255 counts for nothing)")


def test_masks_whose_values_are_lost_are_reported(layout: Any) -> None:
    layout.picture(*(f"images/{name}.jpg" for name in NAMES))
    layout.mask(*(f"masks/{name}.jpg" for name in NAMES))
    (found,) = of_folder(layout.root)
    with pytest.raises(DataError, match=r"00\.jpg may have lost its exact values: save .* PNG"):
        found.read()


@pytest.mark.parametrize(
    ("images", "masks", "ending"),
    [
        ("train", "train_labels", "_L"),
        ("701_StillsRaw_full", "LabeledApproved_full", "_L"),
        ("images", "masks", ""),
        ("photos", "colour_masks", ""),
    ],
)
@pytest.mark.parametrize("table", ["class_dict.csv", "label_colors.txt", None])
def test_masks_whose_colours_are_the_classes_are_read_by_a_table_or_say_what_to_do(
    layout: Any, images: str, masks: str, ending: str, table: str | None
) -> None:
    layout.picture(*(f"{images}/{name}.png" for name in NAMES))
    colours = np.array([[0, 0, 0], [128, 64, 128], [64, 64, 0]], dtype=np.uint8)
    for number, name in enumerate(NAMES):
        path = layout.root / masks / f"{name}{ending}.png"
        path.parent.mkdir(exist_ok=True)
        Image.fromarray(np.repeat(np.repeat(np.roll(colours, number, 0)[None], 16, 0), 8, 1)).save(path)
    if table:
        (layout.root / table).write_text("name,r,g,b\nVoid,0,0,0\nRoad,128,64,128\nPole,64,64,0\n")
    found = recognise(layout.root)
    assert (found.task, found.format) == ("segmentation", "mask_folder")
    if table:
        assert found.read().classes == ("Void", "Road", "Pole")
        return
    with pytest.raises(
        DataError, match=r"none of the 12 images.*a colour image \(RGB\) of 3 colours; .*`colours: FILE`"
    ):
        found.read()


def test_icons_of_few_colours_are_classes(layout: Any) -> None:
    layout.picture(*(f"cat/{name}.png" for name in NAMES))
    for name in NAMES:
        path = layout.root / "dog" / f"{name}.png"
        path.parent.mkdir(exist_ok=True)
        Image.new("RGB", (8, 8), (200, 10, 10)).save(path)
    assert recognise(layout.root).task == "classification"


def test_class_folders_with_equal_names_are_not_masks(layout: Any) -> None:
    layout.picture(*(f"{kind}/{name}.png" for kind in ("cat", "dog") for name in NAMES))
    assert of_folder(layout.root) == []
    assert not is_no_class("with_mask")
    assert is_no_class("Masks")


def test_lists_with_paths_of_images_and_masks_are_read(layout: Any) -> None:
    layout.picture(*(f"JPEGImages/{name}.jpg" for name in (*NAMES, "without")))
    layout.mask(*(f"SegmentationClass/{name}.png" for name in NAMES))
    for part, names in {"train": NAMES[:8], "val": NAMES[8:]}.items():
        rows = [f"/JPEGImages/{name}.jpg /SegmentationClass/{name}.png" for name in names]
        layout.write(f"ImageSets/Segmentation/{part}.txt", "\n".join(rows))
    (found,) = of_folder(layout.root)
    data = found.read()
    assert (len(data.of(Split.TRAIN)), len(data.of(Split.VAL)), data.skipped) == (8, 4, ())


def test_masks_in_webp_are_reported_as_those_in_jpeg(layout: Any) -> None:
    layout.picture(*(f"images/{name}.jpg" for name in NAMES), *(f"masks/{name}.webp" for name in NAMES))
    (found,) = of_folder(layout.root)
    with pytest.raises(DataError, match=r"00\.webp may have lost its exact values: save the masks as PNG"):
        found.read()
