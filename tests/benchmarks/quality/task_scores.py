"""Predictions against the truth by means that are not ours: scikit-learn, numpy, pycocotools."""

from __future__ import annotations

import contextlib
import io
import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import numpy as np
from PIL import Image
from sklearn.metrics import accuracy_score


def accuracy(entries: Sequence[dict[str, Any]], table: Path) -> float:
    """Return the share of texts named rightly.

    Args:
        entries: of ``ftsearch predict --json``, in the table's order.
        table: text and label in tab-separated columns, with a header.
    """
    rows = [line.rpartition("\t") for line in table.read_text("utf-8").splitlines()[1:]]
    texts = [text for text, _, _ in rows]
    if [entry["text"] for entry in entries] != texts:
        raise ValueError(f"the texts predicted are not those of {table}")
    said = [str(entry["answers"][0]["label"]) for entry in entries]
    return float(accuracy_score([label for *_, label in rows], said))


def mean_iou(predicted: Path, truth: Path, ignored: Sequence[int] = ()) -> float:
    """Return the mean intersection over union of all classes that occur in ``truth``, over all pixels of all masks.

    Args:
        predicted: masks of indices into the values of ``truth`` that are not ``ignored``, in rising order.
    """
    paths = sorted(truth.iterdir())
    right = [np.asarray(Image.open(path)) for path in paths]
    values = sorted({int(value) for mask in right for value in np.unique(mask)} - set(ignored))
    index = np.full(256, -1)
    index[values] = np.arange(len(values))
    both, said, true = (np.zeros(256, np.int64) for _ in range(3))
    for path, mask in zip(paths, right, strict=True):
        found = np.asarray(Image.open(predicted / f"{path.stem}.png"))
        if found.shape != mask.shape:
            raise ValueError(f"{path.name}: a mask of {found.shape} for one of {mask.shape}")
        known = index[mask] >= 0
        guess, answer = found[known], index[mask][known]
        both += np.bincount(answer[guess == answer], minlength=256)
        said += np.bincount(guess, minlength=256)
        true += np.bincount(answer, minlength=256)
    occurring = true > 0
    return float((both[occurring] / (said + true - both)[occurring]).mean())


def mean_ap(entries: Sequence[dict[str, Any]], truth: Path) -> float:
    """Return COCO's mean average precision (IoU 0.50 to 0.95).

    Args:
        entries: of ``ftsearch predict --json``, boxes in pixels of the images.
        truth: Pascal VOC XML by the images' names; boxes without an area are no truth.
    """
    from pycocotools.coco import COCO  # an extra that other tasks do without
    from pycocotools.cocoeval import COCOeval

    boxes = {path.stem: list(_boxes_in(path)) for path in sorted(truth.glob("*.xml"))}
    labels = sorted({label for rows in boxes.values() for label, *_ in rows})
    kinds = {label: number for number, label in enumerate(labels, 1)}
    images = {name: number for number, name in enumerate(boxes, 1)}
    annotations = [
        {"image_id": images[name], "category_id": kinds[label], "bbox": [x, y, w, h], "area": w * h, "iscrowd": 0}
        for name, rows in boxes.items()
        for label, x, y, w, h in rows
    ]
    found = [
        {
            "image_id": images[Path(entry["file"]).stem],
            "category_id": kinds[box["label"]],
            "bbox": [box["left"], box["top"], box["right"] - box["left"], box["bottom"] - box["top"]],
            "score": box["score"],
        }
        for entry in entries
        for box in entry["boxes"]
        if box["label"] in kinds
    ]
    if not found:
        return 0.0
    with contextlib.redirect_stdout(io.StringIO()):
        known = COCO()
        known.dataset = {
            "info": {},
            "images": [{"id": number} for number in images.values()],
            "categories": [{"id": number, "name": label} for label, number in kinds.items()],
            "annotations": [{"id": number, **one} for number, one in enumerate(annotations, 1)],
        }
        known.createIndex()
        judged = COCOeval(known, known.loadRes(found), "bbox")
        judged.evaluate(), judged.accumulate(), judged.summarize()
    return max(float(judged.stats[0]), 0.0)


def _boxes_in(path: Path) -> Any:
    for thing in ElementTree.parse(path).getroot().iter("object"):
        box = thing.find("bndbox")
        if box is None:
            continue
        left, top, right, bottom = (float(box.findtext(side, "0")) for side in ("xmin", "ymin", "xmax", "ymax"))
        if right > left and bottom > top:
            yield str(thing.findtext("name")), left, top, right - left, bottom - top


def of_task(task: str, printed: str, masks: Path, truth: Path, ignored: Sequence[int]) -> float:
    """Return the score of what ``ftsearch predict --json`` has ``printed``; segmentation's is in ``masks``."""
    if task == "segmentation":
        return mean_iou(masks, truth, ignored)
    entries = json.loads(printed)
    return accuracy(entries, truth) if task == "text" else mean_ap(entries, truth)
