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

from search.model.folder import FITS, ImagePreprocessing
from search.model.inputs import transform_of
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
    assert "0 becomes 0, 4095 becomes 255" in steps(replace(FRAME, levels=(0.0, 4095.0)))
    assert "bits are scaled" not in steps(FRAME)
