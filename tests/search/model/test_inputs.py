from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search.data import decoding
from search.data.cache import Frame as CacheFrame
from search.data.masks import WholeFrame
from search.data.texts import Text
from search.detection.targets import frame_of
from search.errors import DataError, UserError
from search.model.folder import ImagePreprocessing, TextPreprocessing
from search.model.inputs import Images, Ready, TextInputs, images_in, transform_of


def frame(fit: str, size: tuple[int, int] = (48, 80), interpolation: str = "bilinear") -> ImagePreprocessing:
    resize = (round(size[0] * 256 / 224), round(size[1] * 256 / 224))
    mean, std = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)
    return ImagePreprocessing(size=size, resize=resize, mean=mean, std=std, interpolation=interpolation, fit=fit)  # type: ignore[arg-type]


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
@pytest.mark.parametrize("interpolation", ["bilinear", "bicubic"])
@pytest.mark.parametrize("size", [(64, 64), (48, 80)])
def test_the_transform_gives_what_validation_saw(size: tuple[int, int], interpolation: str, fit: str) -> None:
    made = frame(fit, size, interpolation)
    transform, mean, std = transform_of(made), made.mean, made.std
    search = {
        "crop": CacheFrame(size, made.resize, interpolation, whole=False),
        "stretch": WholeFrame(size, size, interpolation, whole=True),
        "letterbox": frame_of("letterbox", size, interpolation),
    }[fit]
    assert search.fit == fit
    random = np.random.default_rng(0)
    for width, height in ((300, 200), (199, 333), (73, 73), (40, 31), (640, 481), (91, 1000)):
        image = Image.fromarray(random.integers(0, 256, (height, width, 3), dtype=np.uint8))
        pixels = torch.from_numpy(search.render(image)).float()
        shape = (3, 1, 1)
        expected = (pixels - torch.tensor(mean).reshape(shape) * 255) / (torch.tensor(std).reshape(shape) * 255)
        assert torch.allclose(transform(image), expected, atol=1e-5), (width, height)


def test_a_folder_stands_for_all_images_below_it(tmp_path) -> None:
    (tmp_path / "a").mkdir()
    for name in ("b.JPG", "a/c.png", "notes.txt"):
        (tmp_path / name).touch()
    assert [path.name for path in images_in(tmp_path)] == ["c.png", "b.JPG"]
    assert images_in(tmp_path / "notes.txt") == [tmp_path / "notes.txt"]
    with pytest.raises(DataError, match="no image and no folder"):
        images_in(tmp_path / "nowhere")
    (tmp_path / "empty").mkdir()
    with pytest.raises(DataError, match="no image in"):
        images_in(tmp_path / "empty")


@pytest.mark.parametrize("fit", ["crop", "stretch", "letterbox"])
def test_an_image_comes_with_the_way_back(fit: str, tmp_path: Path) -> None:
    Image.new("RGB", (300, 200), (200, 30, 30)).save(tmp_path / "wide.png")
    (ready,) = Images(frame(fit)).read([tmp_path / "wide.png"])
    assert not isinstance(ready, str)
    assert ready.inputs.shape == (3, 48, 80)
    assert (ready.given.width, ready.given.height) == (300, 200)
    across, down = ready.given.shown[2] - ready.given.shown[0], ready.given.shown[3] - ready.given.shown[1]
    expected = {"crop": across <= 1 and down <= 1, "stretch": across == down == 1, "letterbox": across > 1 == down}
    assert expected[fit]


def test_an_image_that_lies_on_its_side_is_turned(tmp_path: Path) -> None:
    turned = Image.new("RGB", (30, 20))
    exif = turned.getexif()
    exif[0x0112] = 6
    turned.save(tmp_path / "side.jpg", exif=exif)
    (ready,) = Images(frame("stretch")).read([tmp_path / "side.jpg"])
    assert not isinstance(ready, str)
    assert (ready.given.width, ready.given.height) == (20, 30)


def test_images_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text("text\nwords\n")
    with pytest.raises(DataError, match=r"t.csv is a file of texts, but this model reads images"):
        Images(frame("crop")).listed(tmp_path / "t.csv")
    with pytest.raises(UserError, match="columns are of tables of texts"):
        Images(frame("crop")).listed(tmp_path, "text")
    with pytest.raises(UserError, match="expected a PIL image, got str"):
        Images(frame("crop")).given("a.png")


class Counting:
    """A tokenizer in place of a task: every word is a token, the number is its length; 99 parts two texts."""

    def numbered(self, inputs: Sequence[Any], most: int) -> tuple[list[list[int]], list[list[int | None]], int]:
        if inputs and hasattr(inputs[0], "words"):
            rows = [[len(word) for word in text.words][:most] for text in inputs]
            return rows, [list(range(len(row))) for row in rows], 0
        second = [[99, *map(len, text.pair.split())] if text.pair else [] for text in inputs]
        return [[*map(len, t.text.split()), *s][:most] for t, s in zip(inputs, second, strict=True)], [], 0


def inputs(**changes: Any) -> TextInputs:
    task: Any = Counting()
    return TextInputs(task, TextPreprocessing(length=4, folder="tokenizer", padding=7, **changes))


def test_texts_become_numbers_and_are_filled_up_to_the_longest_of_their_batch() -> None:
    made = inputs()
    assert made.transform("a bb ccc").tolist() == [1, 2, 3]
    assert made.transform("a b c d e f").tolist() == [1, 1, 1, 1]
    ready = made.read([Text("t.txt, line 1", "a"), Text("t.txt, line 2", "bb cc")])
    rows = [one.inputs for one in ready if not isinstance(one, str)]
    assert made.batch(rows).tolist() == [[1, 7], [2, 2]]


def test_pairs_and_words_are_reported_from_texts() -> None:
    pairs, words = inputs(pairs=True), inputs(words=True)
    assert pairs.transform(("a", "bb")).tolist() == [1, 99, 2]
    assert words.transform(["a", "bb"]).tolist() == words.transform("a bb").tolist() == [1, 2]
    assert words.given(["a", "bb"]) == (0, 0, (0.0, 0.0, 1.0, 1.0), ("a", "bb"), (0, 1))
    for made, wrong, message in (
        (pairs, "a", "expected a pair of texts, got 'a'"),
        (inputs(), ("a", "b"), r"expected a text, got \('a', 'b'\)"),
        (words, 3, "expected a sentence or a list of its words, got 3"),
        (words, [], r"expected a sentence or a list of its words, got \[\]"),
    ):
        with pytest.raises(UserError, match=message):
            made.transform(wrong)


def test_texts_of_another_kind_are_refused(tmp_path: Path) -> None:
    (tmp_path / "a.png").touch()
    with pytest.raises(DataError, match="is a folder, but this model reads texts; give a file of them"):
        inputs().listed(tmp_path)
    with pytest.raises(DataError, match=r"a.png is an image, but this model reads texts"):
        inputs().listed(tmp_path / "a.png")


def test_deep_images_are_scaled_as_the_training_data_were(tmp_path: Path) -> None:
    Image.fromarray(np.full((64, 64), 1000, dtype=np.uint16)).save(tmp_path / "a.png")
    made = replace(frame("stretch", (8, 8)), mean=(0.0,) * 3, std=(1.0,) * 3, levels=(0.0, 4000.0))
    (ready,) = Images(made).read([tmp_path / "a.png"])
    assert isinstance(ready, Ready)
    assert ready.inputs.unique().item() == pytest.approx(64 / 255)


def test_boxes_of_a_picture_that_is_read_reduced_are_in_pixels_of_its_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LARGE", 1000)
    Image.new("RGB", (90, 60)).save(tmp_path / "a.png")
    (ready,) = Images(frame("letterbox")).read([tmp_path / "a.png"])
    assert isinstance(ready, Ready)
    assert (ready.given.width, ready.given.height) == (90, 60)


def test_a_picture_that_cannot_be_read_says_why(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(b"none")
    assert Images(frame("crop")).read([tmp_path / "a.png"]) == ["not an image, or of an unknown format"]


def test_hidden_and_system_folders_are_passed_over_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("a.png", "@eaDir/a.png", ".ipynb_checkpoints/a-checkpoint.png", "__MACOSX/._a.png", "b.heic"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert images_in(tmp_path) == [tmp_path / "a.png"]
    assert "3 files in hidden or system folders ignored: " in caplog.text
    assert "1 file with other extensions not read: 1 .heic" in caplog.text
