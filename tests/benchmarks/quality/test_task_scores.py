"""Scores of predictions whose worth is known by hand."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from quality.task_scores import accuracy, mean_ap, mean_iou


def test_texts_are_counted_in_their_order(tmp_path: Path) -> None:
    table = tmp_path / "test.tsv"
    table.write_text("sentence\tlabel\ngood\t1\nbad\t0\nfine\t1\n")
    entries = [
        {"text": text, "answers": [{"label": label}]} for text, label in (("good", "1"), ("bad", "1"), ("fine", "1"))
    ]
    assert accuracy(entries, table) == pytest.approx(2 / 3)
    with pytest.raises(ValueError, match="not those of"):
        accuracy(entries[::-1], table)


def test_iou_is_over_all_pixels_and_ignored_values_count_for_nothing(tmp_path: Path) -> None:
    for name in ("truth", "said"):
        (tmp_path / name).mkdir()
    truth = np.array([[0, 0, 3, 3], [0, 0, 3, 9]], np.uint8)
    said = np.array([[0, 1, 1, 1], [0, 0, 1, 0]], np.uint8)
    Image.fromarray(truth).save(tmp_path / "truth/a.png")
    Image.fromarray(said).save(tmp_path / "said/a.png")
    # Of value 0: 3 of 4 pixels; of value 3, the model's class 1: 3 of 4.
    assert mean_iou(tmp_path / "said", tmp_path / "truth", [9]) == pytest.approx(0.75)


def annotated(folder: Path, name: str, *boxes: tuple[str, int, int, int, int]) -> None:
    things = "".join(
        f"<object><name>{label}</name><bndbox><xmin>{x0}</xmin><ymin>{y0}</ymin><xmax>{x1}</xmax><ymax>{y1}</ymax>"
        "</bndbox></object>"
        for label, x0, y0, x1, y1 in boxes
    )
    (folder / f"{name}.xml").write_text(f"<annotation>{things}</annotation>")


def box(label: str, left: float, top: float, right: float, bottom: float, score: float = 0.9) -> dict[str, Any]:
    return {"label": label, "score": score, "left": left, "top": top, "right": right, "bottom": bottom}


def test_boxes_are_judged_as_coco_does(tmp_path: Path) -> None:
    pytest.importorskip("pycocotools")
    annotated(tmp_path, "one", ("cell", 0, 0, 100, 100), ("cell", 5, 5, 5, 5))
    annotated(tmp_path, "two", ("cell", 0, 0, 100, 100))
    right = {"file": "x/one.jpg", "boxes": [box("cell", 0, 0, 100, 100)]}
    missed: dict[str, Any] = {"file": "x/two.jpg", "boxes": []}
    assert mean_ap([right, {**right, "file": "x/two.jpg"}], tmp_path) == pytest.approx(1.0)
    assert mean_ap([right, missed], tmp_path) == pytest.approx(51 / 101)  # 101 points of recall, up to a half of them
    assert mean_ap([missed], tmp_path) == 0.0
    # An IoU of 0.8 is enough for 7 of the 10 thresholds from 0.50 to 0.95.
    near = [{**right, "file": name, "boxes": [box("cell", 0, 0, 100, 81)]} for name in ("x/one.jpg", "x/two.jpg")]
    assert mean_ap(near, tmp_path) == pytest.approx(0.7)
