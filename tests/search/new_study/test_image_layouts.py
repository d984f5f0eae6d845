from __future__ import annotations

from typing import Any

import pytest

from search.data.sample import Split
from search.errors import DataError
from search.new_study.image_layouts import are_numbers, of_folder

NAMES = [f"{number:02d}" for number in range(12)]
PARTS = {"train": NAMES[:8], "val": NAMES[8:]}
KINDS = ("cat", "dog")


def kind(name: str) -> str:
    return KINDS[int(name) % 2]


def told(layout: Any) -> tuple[str, ...]:
    """Return task and format, and how many samples the format reads for training and validation."""
    (found,) = of_folder(layout.root)
    data = found.read()
    assert not data.skipped
    return (found.format, *data.classes, *(len(data.of(split)) for split in (Split.TRAIN, Split.VAL)))


@pytest.mark.parametrize("folder", ["annotations", "annots", "Annotation", "labels", "annotations/xmls", "."])
def test_voc_lies_in_a_folder_of_any_name(layout: Any, folder: str) -> None:
    for name in NAMES:
        layout.picture(f"{'images' if folder != '.' else '.'}/{name}.png")
        layout.voc(f"{folder}/{name}.xml", kind(name))
        layout.voc(f"__MACOSX/{folder}/._{name}.xml")
    assert told(layout) == ("voc", "cat", "dog", 10, 2)


@pytest.mark.parametrize("places", [("{}/images", "{}/annotations"), ("{}", "{}"), ("images/{}", "{}/xml")])
def test_voc_lies_in_folders_by_part(layout: Any, places: tuple[str, str]) -> None:
    for part, names in PARTS.items():
        for name in names:
            layout.picture(f"{places[0].format(part)}/{name}.png")
            layout.voc(f"{places[1].format(part)}/{name}.xml", kind(name))
    assert told(layout) == ("voc", "cat", "dog", 8, 4)


@pytest.mark.parametrize(
    ("images", "annotations", "lists"),
    [
        ("VOC2007/JPEGImages", "VOC2007/Annotations", "VOC2007/ImageSets/Main"),
        *(("jpegimages", name, "imagesets/main") for name in ("Annotations", "annotations", "ANNOTATIONS")),
    ],
)
def test_lists_of_parts_count_in_an_archive_and_whatever_the_case_of_folders(
    layout: Any, images: str, annotations: str, lists: str
) -> None:
    for name in NAMES:
        layout.picture(f"{images}/{name}.png")
        layout.voc(f"{annotations}/{name}.xml", kind(name))
    for part, names in PARTS.items():
        layout.write(f"{lists}/{part}.txt", "\n".join(names))
    assert told(layout) == ("voc", "cat", "dog", 8, 4)


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations.json", "images"),
        ("annotations.json", "."),
        ("result.json", "images"),
        ("annotations/instances_default.json", "images/default"),
    ],
)
def test_one_coco_file_is_enough(layout: Any, file: str, images: str) -> None:
    layout.picture(*(f"{images}/{name}.png" for name in NAMES))
    layout.coco(file, [f"{name}.png" for name in NAMES])
    assert told(layout) == ("coco", "cat", "dog", 10, 2)


@pytest.mark.parametrize(
    ("file", "images"),
    [
        ("annotations/instances_{}2017.json", "{}2017"),
        ("{}/_annotations.coco.json", "{}"),
        ("{}.json", "images"),
    ],
)
def test_coco_files_of_parts_are_for_boxes_and_masks(layout: Any, file: str, images: str) -> None:
    pytest.importorskip("faster_coco_eval")
    for part, names in PARTS.items():
        layout.picture(*(f"{images.format(part)}/{name}.png" for name in names))
        layout.coco(file.format(part), [f"{name}.png" for name in names], segmentation=[[2, 3, 10, 3, 10, 12]])
    boxes, masks = of_folder(layout.root)
    assert (boxes.format, masks.format) == ("coco", "coco_masks")
    for found, classes in ((boxes, ("cat", "dog")), (masks, ("background", "cat", "dog"))):
        data = found.read()
        assert data.classes == classes
        assert (len(data.of(Split.TRAIN)), len(data.of(Split.VAL))) == (8, 4)


@pytest.mark.parametrize(
    ("image", "label", "names"),
    [
        ("{}.png", "{}.txt", "classes.txt"),
        ("images/{}.png", "labels/{}.txt", "labels/classes.txt"),
        ("obj_train_data/{}.png", "obj_train_data/{}.txt", "obj.names"),
        ("train/{}.png", "train/{}.txt", "train/_darknet.labels"),
    ],
)
def test_yolo_lies_in_one_folder_or_in_two(layout: Any, image: str, label: str, names: str) -> None:
    layout.write(names, "cat\ndog\n")
    for name in NAMES:
        layout.picture(image.format(name))
        layout.write(label.format(name), f"{int(name) % 2} 0.5 0.5 0.3 0.3\n")
    assert told(layout) == ("yolo", "cat", "dog", 10, 2)


def test_yolo_in_folders_by_part_needs_no_description(layout: Any) -> None:
    layout.write("classes.txt", "cat\ndog\n")
    for part, names in PARTS.items():
        for name in names:
            layout.picture(f"{part}/images/{name}.png")
            layout.write(f"{part}/labels/{name}.txt", f"{int(name) % 2} 0.5 0.5 0.3 0.3\n")
    assert told(layout) == ("yolo", "cat", "dog", 8, 4)


@pytest.mark.parametrize("place", ["{}", "train/{}", "seg_train/seg_train/{}", "training_set/{}"])
def test_class_folders_may_lie_in_a_part(layout: Any, place: str) -> None:
    layout.picture(*(f"{place.format(kind(name))}/{name}.png" for name in NAMES))
    layout.picture(*(f"{place.format(kind(name))}/@eaDir/{name}.png" for name in NAMES))
    assert told(layout) == ("image_folder", "cat", "dog", 10, 2)


def test_a_test_part_without_labels_is_reported_and_left_out(layout: Any) -> None:
    layout.picture(*(f"train/{kind(name)}/{name}.png" for name in NAMES), "test/1.png", "more/2.png")
    (found,) = of_folder(layout.root)
    notes = found.read().notes
    assert notes[0].endswith("test has no class folders: a test part without labels is not used")
    assert notes[1] == "folders beside train that are not part of the data: more"


def test_folders_that_are_not_classes_are_ignored(layout: Any) -> None:
    layout.picture("train_images/1.png", "test_images/2.png")
    assert of_folder(layout.root) == []
    layout.picture("with_mask/1.png", "without_mask/2.png")
    (found,) = of_folder(layout.root)
    assert found.format == "image_folder"


def test_only_words_that_are_numbers_are_numbers() -> None:
    assert are_numbers(["1", "-2.5", "1e3"])
    assert not are_numbers(["1", "x"])
    assert not are_numbers(["nan"])


@pytest.mark.parametrize(("ending", "coding"), [("XML", "utf-8"), ("xml", "utf-16"), ("Xml", "utf-8-sig")])
def test_voc_is_found_whatever_its_letters_and_bytes(layout: Any, ending: str, coding: str) -> None:
    for name in NAMES:
        layout.picture(f"pics/{name}.PNG")
        layout.voc(f"boxes/{name}.{ending}", kind(name))
        path = layout.root / f"boxes/{name}.{ending}"
        path.write_text(path.read_text(), encoding=coding)
    assert told(layout) == ("voc", "cat", "dog", 10, 2)


@pytest.mark.parametrize(("images", "labels"), [("Images", "Labels"), ("IMAGES", "labels"), ("images", "LABELS")])
def test_yolo_is_found_whatever_the_case_of_its_folders(layout: Any, images: str, labels: str) -> None:
    layout.write("Classes.txt", "cat\ndog\n")
    for name in NAMES:
        layout.picture(f"{images}/{name}.png")
        layout.write(f"{labels}/{name}.txt", f"{int(name) % 2} .5 .5 .3 .3\n")
    assert told(layout) == ("yolo", "cat", "dog", 10, 2)


def test_decimal_commas_in_yolo_files_are_reported_by_line(layout: Any) -> None:
    layout.write("classes.txt", "cat\n")
    for name in NAMES:
        layout.picture(f"images/{name}.png")
        layout.write(f"labels/{name}.txt", "0 0,5 0,5 0,3 0,3\n")
    (found,) = of_folder(layout.root)
    with pytest.raises(DataError, match=r"labels/00\.txt, line 1: expected `class x y width height` in numbers, got"):
        found.read()


@pytest.mark.parametrize("task", ["detection", "segmentation"])
def test_paths_written_on_windows_are_found(layout: Any, task: str) -> None:
    pytest.importorskip("faster_coco_eval")
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    layout.coco("a.json", [f"images\\{name}.png" for name in NAMES], segmentation=[[2, 3, 10, 3, 10, 12]])
    (found,) = (one for one in of_folder(layout.root) if one.task == task)
    data = found.read()
    assert (len(data.samples), data.skipped) == (12, ())
