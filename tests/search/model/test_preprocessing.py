"""A reader of the folder's text alone prepares images as the model was validated."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from search.data import decoding
from search.detection.results import in_image
from search.model import preprocessing
from search.model.folder import FITS, ImagePreprocessing
from search.model.inputs import Images, frame_for, transform_of
from search.model.preprocessing import steps

FRAME = ImagePreprocessing(
    size=(33, 41), resize=(37, 47), mean=(0.5, 0.4, 0.3), std=(0.2, 0.3, 0.4), interpolation="bilinear"
)
FRAMES = [replace(FRAME, fit=fit, interpolation=how) for fit in FITS.values() for how in ("bilinear", "bicubic")]


def follow(text: str, image: Image.Image) -> NDArray[np.float32]:
    """Do to ``image`` what ``text`` says, formula by formula; nothing else is known here."""
    image = ImageOps.exif_transpose(image).convert("RGB")
    known: dict[str, Any] = {"width": image.width, "height": image.height, "max": max, "min": min}
    known |= {"int": int, "round": round}
    if scale := re.search(r"s = ((?:max|min)\(.*?\));", text):
        known["s"] = eval(scale[1], known)
    across, down = re.findall(r"resize (?:the whole image )?to (.+?) x (.+?) pixels \(width x height", text)[0]
    method = getattr(Image.Resampling, re.findall(r"Image\.Resampling\.(\w+)", text)[0])
    image = image.resize((eval(across, known), eval(down, known)), method)
    known |= {"scaled_width": image.width, "scaled_height": image.height}
    if found := re.search(
        r"(?:cut out|of) (\d+)x(\d+) with the left edge at (.+?) and the top edge at (.+?)\. Res", text
    ):
        size, left, top = (int(found[1]), int(found[2])), eval(found[3], known), eval(found[4], known)
        if "paste" in text:
            grey = tuple(map(int, re.findall(r"grey \((\d+), (\d+), (\d+)\)", text)[0]))
            canvas = Image.new("RGB", size, grey)
            canvas.paste(image, (left, top))
            image = canvas
        else:
            image = image.crop((left, top, left + size[0], top + size[1]))
    mean, std = (np.array(eval(found), dtype=np.float32) for found in re.findall(r"\[[\d., ]+\]", text)[:2])
    pixels = np.asarray(image, dtype=np.float32) / 255
    return np.ascontiguousarray(((pixels - mean) / std).transpose(2, 0, 1))


@pytest.mark.parametrize("frame", FRAMES, ids=lambda frame: f"{frame.fit}-{frame.interpolation}")
def test_the_text_gives_the_numbers_that_validation_saw(frame: ImagePreprocessing) -> None:
    random = np.random.default_rng(0)
    transform = transform_of(frame)
    for width, height in [
        (50, 40),
        (97, 61),
        (61, 97),
        (33, 41),
        (20, 200),
        (201, 20),
        *random.integers(20, 150, (20, 2)),
    ]:
        image = Image.fromarray(random.integers(0, 255, (int(height), int(width), 3), dtype=np.uint8))
        expected: torch.Tensor = transform(image)
        np.testing.assert_allclose(follow(steps(frame), image), expected.numpy(), atol=1e-5)


def test_deep_images_are_reported_of(tmp_path: Path) -> None:
    assert "Images of more than 8 bits are scaled first: 0 becomes 0, 4095 becomes 255" in steps(
        replace(FRAME, levels=(0.0, 4095.0))
    )
    assert "Images of 16 bits are scaled first: 0 becomes 0, 65535 becomes 255" in steps(FRAME)


def as_the_model_reads(path: Path, frame: ImagePreprocessing) -> NDArray[np.float32]:
    (ready,) = Images(frame).read([path])
    assert not isinstance(ready, str), ready
    return ready.inputs.numpy()


def scaled_first(text: str, values: NDArray[Any]) -> Image.Image:
    """Do to the ``values`` of a deep image what ``text`` says."""
    black, white = map(float, re.findall(r"first: (\S+) becomes 0, (\S+) becomes 255", text)[0])
    assert "rounded and limited to 0 to 255" in text
    return Image.fromarray(np.clip(np.rint((values - black) * 255 / (white - black)), 0, 255).astype(np.uint8))


@pytest.mark.parametrize(
    ("levels", "low", "high", "kind"),
    [
        ((0.0, 4095.0), 0, 4096, "uint16"),
        (None, 0, 65536, "uint16"),
        ((0.0, 1023.0), 0, 1500, "uint16"),  # beyond what the training data had
        ((-5.0, 100.0), -9, 120, "float32"),
    ],
)
def test_deep_images_are_scaled_as_the_text_says(
    levels: tuple[float, float] | None, low: int, high: int, kind: str, tmp_path: Path
) -> None:
    values = np.random.default_rng(0).integers(low, high, (61, 53)).astype(kind)
    Image.fromarray(values).save(tmp_path / "deep.tiff")
    frame = replace(FRAME, levels=levels)
    expected = follow(steps(frame), scaled_first(steps(frame), values))
    np.testing.assert_allclose(as_the_model_reads(tmp_path / "deep.tiff", frame), expected, atol=1e-5)


@pytest.mark.parametrize(
    ("name", "mode"), [("a.png", "RGBA"), ("a.png", "P"), ("a.png", "LA"), ("a.png", "1"), ("a.jpg", "CMYK")]
)
def test_files_of_every_mode_are_read_as_the_text_says(name: str, mode: str, tmp_path: Path) -> None:
    pixels = np.random.default_rng(0).integers(0, 255, (61, 53, 4), dtype=np.uint8)
    image = Image.fromarray(pixels).convert("RGB" if mode in ("P", "CMYK") else "RGBA").convert(mode)
    exif = Image.Exif()
    exif[0x0112] = 6
    image.save(tmp_path / name, exif=exif, **({"transparency": 3} if mode == "P" else {}))
    with Image.open(tmp_path / name) as opened:
        expected = follow(steps(FRAME), opened)
    np.testing.assert_allclose(as_the_model_reads(tmp_path / name, FRAME), expected, atol=1e-5)


@pytest.mark.parametrize("size", [(97, 61), (120, 120), (400, 31)])
def test_large_pictures_are_reduced_as_the_text_says(
    size: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(decoding, "LARGE", 2000)
    monkeypatch.setattr(preprocessing, "LARGE", 2000)
    pixels = np.random.default_rng(0).integers(0, 255, (size[1], size[0], 3), dtype=np.uint8)
    image = Image.fromarray(pixels)
    image.save(tmp_path / "large.png")
    text = steps(FRAME)
    most = int(re.findall(r"of more than (\d+) pixels", text)[0])
    factor = next(n for n in range(1, 99) if -(-size[0] // n) * -(-size[1] // n) <= most)
    assert "smallest whole factor" in text
    assert factor > 1
    expected = follow(text, image.reduce(factor))
    np.testing.assert_allclose(as_the_model_reads(tmp_path / "large.png", FRAME), expected, atol=1e-5)


@pytest.mark.parametrize("fit", ["stretch", "letterbox"])
def test_boxes_of_the_input_are_where_the_text_says(fit: str) -> None:
    frame = replace(FRAME, fit=fit)
    text = steps(frame)
    across, down = re.findall(r"is at \((.+), (.+)\) in pixels of the upright image", text)[0]
    inside = torch.tensor([[0.4, 0.45, 0.55, 0.6]])
    for width, height in [(50, 40), (97, 61), (61, 97), (20, 200)]:
        known = {"width": width, "height": height, "max": max, "min": min, "round": round}
        if fit == "letterbox":
            known["s"] = eval(re.findall(r"s = (min\(.*?\));", text)[0], known)
            wide, tall = re.findall(r"resize to (.+?) x (.+?) pixels \(width x height", text)[0]
            known |= {"scaled_width": eval(wide, known), "scaled_height": eval(tall, known)}
            left, top = re.findall(r"left edge at (.+?) and the top edge at (.+?)\. Res", text)[0]
            known |= {"left": eval(left, known), "top": eval(top, known)}
        sides = in_image({"boxes": inside}, frame_for(frame).shown(width, height))["boxes"][0]
        expected = (sides * torch.tensor([width, height] * 2)).tolist()
        x0, y0, x1, y1 = inside[0].tolist()
        corners = [(x0, y0), (x1, y1)]
        told = [eval(formula, known | {"x": x, "y": y}) for x, y in corners for formula in (across, down)]
        told = [min(max(one, 0), most) for one, most in zip(told, [width, height] * 2, strict=True)]
        assert told == pytest.approx(expected, rel=1e-5, abs=1e-3)
