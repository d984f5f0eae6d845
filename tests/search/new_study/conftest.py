"""Small data sets laid out as they are downloaded."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

SIZE = (24, 16)


@dataclass(frozen=True)
class Layout:
    """Writes files of a data set below ``root``; every image and text has its own content."""

    root: Path

    def write(self, place: str, text: str) -> None:
        path = self.root / place
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text, encoding="utf-8")

    def picture(self, *places: str) -> None:
        for place in places:
            path = self.root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            seed = sum(map(ord, place)) + 1000 * len(list(path.parent.iterdir()))
            pixels = np.random.default_rng(seed).integers(0, 255, (SIZE[1], SIZE[0], 3), dtype=np.uint8)
            Image.fromarray(pixels).save(path)

    def mask(self, *places: str, values: Sequence[int] = (0, 1)) -> None:
        for place in places:
            path = self.root / place
            path.parent.mkdir(parents=True, exist_ok=True)
            pixels = np.repeat(np.array(values, np.uint8), SIZE[0] // len(values))
            Image.fromarray(np.tile(pixels, (SIZE[1], 1))).save(path)

    def voc(self, place: str, name: str = "cat") -> None:
        corners = "".join(f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin"), (2, 3), strict=True))
        corners += "<xmax>12</xmax><ymax>13</ymax>"
        self.write(place, f"<annotation><object><name>{name}</name><bndbox>{corners}</bndbox></object></annotation>")

    def coco(self, place: str, files: Sequence[str], **more: Any) -> None:
        images = [{"id": number, "file_name": name} for number, name in enumerate(files)]
        annotations = [
            {"id": number, "image_id": number, "category_id": number % 2, "bbox": [2, 3, 8, 9], **more}
            for number in range(len(files))
        ]
        images = [image | {"width": SIZE[0], "height": SIZE[1]} for image in images]
        categories = [{"id": 0, "name": "cat"}, {"id": 1, "name": "dog"}]
        self.write(place, json.dumps({"images": images, "annotations": annotations, "categories": categories}))


@pytest.fixture
def layout(tmp_path: Path) -> Layout:
    return Layout(tmp_path / "data")
