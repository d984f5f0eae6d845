from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from search.errors import UserError
from search.model.drawing import drawn, places, write_mask, write_picture
from search.report.theme import class_colour, rgb
from search.tasks._prediction import PredictedBox, Prediction

CLASSES = ("cat", "dog")


def test_boxes_are_drawn_in_the_colour_of_their_class_where_they_are() -> None:
    boxes = (PredictedBox("dog", 0.9, 40, 50, 80, 90), PredictedBox("cat", 0.4, 100, 20, 150, 60))
    pixels = np.asarray(drawn(Image.new("RGB", (160, 120)), Prediction(boxes=boxes), CLASSES))
    assert tuple(pixels[90, 60]) == rgb(class_colour(1))
    assert tuple(pixels[60, 125]) == rgb(class_colour(0))
    assert not pixels[70, 60].any()
    assert not pixels[100:].any()


def test_an_image_without_boxes_stays_as_it_is() -> None:
    image = Image.new("RGB", (30, 20), (1, 2, 3))
    assert np.array_equal(np.asarray(drawn(image, Prediction(), CLASSES)), np.asarray(image))


def test_a_mask_shines_through() -> None:
    mask = torch.zeros(20, 30, dtype=torch.uint8)
    mask[:, 15:] = 1
    pixels = np.asarray(drawn(Image.new("RGB", (30, 20), (255, 255, 255)), Prediction(mask=mask), CLASSES)).astype(int)
    for column, label in ((3, 0), (20, 1)):
        expected = np.array(rgb(class_colour(label))) * 0.55 + 255 * 0.45
        assert abs(pixels[10, column] - expected).max() <= 1


def test_a_written_mask_has_classes_as_values_and_a_palette(tmp_path: Path) -> None:
    mask = torch.tensor([[0, 1], [2, 254]], dtype=torch.uint8)
    write_mask(tmp_path / "deep" / "m.png", mask)
    with Image.open(tmp_path / "deep" / "m.png") as image:
        assert image.mode == "P"
        assert np.array_equal(np.asarray(image), mask.numpy())
        assert tuple(np.asarray(image.convert("RGB"))[0, 1]) == rgb(class_colour(1))
    write_mask(tmp_path / "many.png", torch.tensor([[0, 300]], dtype=torch.int32))
    with Image.open(tmp_path / "many.png") as image:
        assert np.asarray(image).tolist() == [[0, 300]]
    assert {path.name for path in tmp_path.rglob("*")} == {"deep", "m.png", "many.png"}


def test_a_picture_is_a_jpeg_of_the_same_size(tmp_path: Path) -> None:
    Image.new("RGB", (160, 120)).save(tmp_path / "a.png")
    write_picture(
        tmp_path / "out" / "a.jpg",
        tmp_path / "a.png",
        Prediction(boxes=(PredictedBox("cat", 1, 9, 9, 99, 99),)),
        CLASSES,
    )
    with Image.open(tmp_path / "out" / "a.jpg") as image:
        assert (image.format, image.size) == ("JPEG", (160, 120))


def test_a_place_that_cannot_be_written_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "taken").write_text("a file")
    with pytest.raises(UserError, match=r"cannot write .*; name another folder"):
        write_mask(tmp_path / "taken" / "m.png", torch.zeros(2, 2, dtype=torch.uint8))
    assert (tmp_path / "taken").read_text() == "a file"


def test_names_are_those_below_the_folder_and_never_meet(tmp_path: Path) -> None:
    names = ("a/one.jpg", "a/one.png", "b/one.jpg", "two.x.jpg")
    for name in names:
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    found = places(Path("out"), [tmp_path / name for name in names], tmp_path, ".png")
    assert [str(path) for path in found.values()] == [
        *("out/a/one.jpg.png", "out/a/one.png.png", "out/b/one.png", "out/two.x.png")
    ]
    assert places(Path("out"), [tmp_path / "two.x.jpg"], tmp_path / "two.x.jpg", ".jpg") == {
        tmp_path / "two.x.jpg": Path("out/two.x.jpg")
    }


def test_images_that_are_read_are_never_written_over(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(UserError, match="is an image that is read; name another folder"):
        places(tmp_path, [tmp_path / "a.png"], tmp_path, ".png")
