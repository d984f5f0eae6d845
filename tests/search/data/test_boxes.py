from __future__ import annotations

from pathlib import Path

import pytest
from PIL import Image

from search.data.boxes import AnnotatedImage, BoxAnnotation, BoxTarget, Faults, GroundTruthBox, dataset
from search.data.sample import Dataset, Split
from search.data.split_options import SplitOptions
from search.errors import DataError


def images(folder: Path, count: int = 8) -> list[Path]:
    for number in range(count):
        Image.new("RGB", (40, 20), (number * 20, 0, 0)).save(folder / f"{number}.png")
    return [folder / f"{number}.png" for number in range(count)]


def listed(folder: Path, *corners: tuple[float, float, float, float]) -> list[AnnotatedImage]:
    boxes = [BoxAnnotation(f"box {place}", "ant", found) for place, found in enumerate(corners or ((0, 0, 20, 10),))]
    return [AnnotatedImage(path, path.name, None, boxes) for path in images(folder)]


def made(found: list[AnnotatedImage], on_error: str = "refuse") -> Dataset:
    return dataset("drawn", found, SplitOptions(val_share=0.25, on_error=on_error), None, Faults("drawn"))  # type: ignore[arg-type]


def test_boxes_become_shares_and_images_are_cut_by_their_classes(tmp_path: Path) -> None:
    found = made(listed(tmp_path))
    assert found.samples[0].target == BoxTarget(40, 20, (GroundTruthBox(0, 0.0, 0.0, 0.5, 0.5),))
    assert len(found.of(Split.VAL)) == 2


def test_a_pixel_over_the_border_is_a_matter_of_counting(tmp_path: Path) -> None:
    found = made(listed(tmp_path, (-1, 0, 41, 20)))
    assert found.samples[0].target.boxes[0] == GroundTruthBox(0, 0.0, 0.0, 1.0, 1.0)


def test_boxes_that_reach_out_are_cut_off_and_listed_when_faults_are_skipped(tmp_path: Path) -> None:
    found = made(listed(tmp_path, (20, 10, 60, 30), (50, 0, 60, 10)), "skip")
    assert found.samples[0].target.boxes == (GroundTruthBox(0, 0.5, 0.5, 1.0, 1.0),)
    assert len(found.skipped) == 16


@pytest.mark.parametrize("ending", [".jpg", ".png", ".webp", ".tif"])
def test_turned_photographs_are_measured_as_they_are_shown(tmp_path: Path, ending: str) -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    found = listed(tmp_path, (0, 0, 10, 40))
    for path in images(tmp_path):
        Image.new("RGB", (40, 20), (int(path.stem) * 20, 0, 0)).save(path.with_suffix(ending), exif=exif)
    turned = [AnnotatedImage(one.path.with_suffix(ending), one.place, None, one.boxes, (20, 40)) for one in found]
    target = made(turned).samples[0].target
    assert (target.width, target.height) == (20, 40)
    assert target.boxes[0] == GroundTruthBox(0, 0.0, 0.0, 0.5, 1.0)


def test_other_boxes_make_another_fingerprint(tmp_path: Path) -> None:
    one, two = made(listed(tmp_path)), made(listed(tmp_path, (0, 0, 20, 11)))
    assert one.fingerprint == made(listed(tmp_path)).fingerprint != two.fingerprint


def test_data_without_a_box_or_an_image_are_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no annotated image found"):
        made([])
    with pytest.raises(DataError, match="no image has a box"):
        made([AnnotatedImage(path, path.name, None, []) for path in images(tmp_path)])


def test_a_class_that_is_only_in_validation_is_refused(tmp_path: Path) -> None:
    paths = images(tmp_path)
    one, other = BoxAnnotation("a", "ant", (0, 0, 9, 9)), BoxAnnotation("b", "bee", (0, 0, 9, 9))
    found = [AnnotatedImage(path, path.name, Split.TRAIN, [one]) for path in paths[:6]]
    found += [AnnotatedImage(path, path.name, Split.VAL, [one, other]) for path in paths[6:]]
    with pytest.raises(DataError, match="no training image has a box of class 'bee'"):
        made(found)


@pytest.mark.parametrize(
    ("corners", "kept"),
    [
        ((0, 0, 40, 20), (0.0, 0.0, 1.0, 1.0)),
        ((1, 1, 40, 20), (0.025, 0.05, 1.0, 1.0)),
        ((-0.5, -0.5, 39.5, 19.5), (0.0, 0.0, 0.9875, 0.975)),
        ((39, 19, 41, 21), (0.975, 0.95, 1.0, 1.0)),
        ((39.5, 0, 40, 20), (0.9875, 0.0, 1.0, 1.0)),
    ],
)
def test_boxes_on_the_border_keep_what_is_inside(
    tmp_path: Path, corners: tuple[float, float, float, float], kept: tuple[float, float, float, float]
) -> None:
    (box,) = made(listed(tmp_path, corners)).samples[0].target.boxes
    assert (box.left, box.top, box.right, box.bottom) == kept


@pytest.mark.parametrize("corners", [(40, 0, 41, 20), (-1, 0, 0, 20), (0, 20, 40, 21), (10, 10, 10.00001, 20)])
def test_a_box_without_area_inside_is_reported_and_not_dropped_in_silence(
    tmp_path: Path, corners: tuple[float, float, float, float]
) -> None:
    found = listed(tmp_path, (0, 0, 20, 10), corners)
    with pytest.raises(DataError, match=r"has no area inside its image"):
        made(found)
    skipped = made(found, "skip")
    assert len(skipped.skipped) == 8
    assert {len(sample.target.boxes) for sample in skipped.samples} == {1}


def test_duplicate_boxes_are_reported(tmp_path: Path) -> None:
    (line,) = made(listed(tmp_path, (0, 0, 20, 10), (0, 0, 20, 10), (0, 0, 20, 11))).notes
    assert line.startswith(
        "8 boxes duplicate another one of their image, and only one of each pair can be found; first: "
    )
    assert line.endswith("0.png")
    assert made(listed(tmp_path)).notes == ()
