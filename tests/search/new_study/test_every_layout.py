"""What is recognised works: a study file is drafted for it and a trial of that study trained."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.api import run_study
from search.new_study.detect import recognise
from search.new_study.template import draft
from spaces import backbones

NAMES = [f"{number:02d}" for number in range(12)]
KINDS = ("cat", "dog")


def voc(layout: Any) -> None:
    for name in NAMES:
        layout.picture(f"images/{name}.png")
        layout.voc(f"annots/{name}.xml", KINDS[int(name) % 2])


def label_img(layout: Any) -> None:
    layout.write("classes.txt", "cat\ndog\n")
    for name in NAMES:
        layout.picture(f"{name}.png")
        layout.write(f"{name}.txt", f"{int(name) % 2} 0.5 0.5 0.3 0.3\n")


def coco(layout: Any) -> None:
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    layout.coco("annotations.json", [f"{name}.png" for name in NAMES])


def coco_masks(layout: Any) -> None:
    pytest.importorskip("faster_coco_eval")
    layout.picture(*(f"images/{name}.png" for name in NAMES))
    outline = [[2, 3, 10, 3, 10, 12]]
    layout.coco("annotations.json", [f"{name}.png" for name in NAMES], segmentation=outline)


def boxes_in_a_table(layout: Any) -> None:
    rows = [f"{name}.png,24,16,{KINDS[int(name) % 2]},2,3,12,13" for name in NAMES]
    layout.picture(*(f"train/{name}.png" for name in NAMES))
    header = "filename,width,height,class,xmin,ymin,xmax,ymax"
    layout.write("train/_annotations.csv", "\n".join([header, *rows]))


def several_labels(layout: Any) -> None:
    rows = [f"{name}.png, {int(name) % 2}, {int(name) // 2 % 2}" for name in NAMES]
    layout.picture(*(f"train/{name}.png" for name in NAMES))
    layout.write("train/_classes.csv", "\n".join(["filename, cat, dog", *rows]))


def masks_of_lists(layout: Any) -> None:
    layout.picture(*(f"JPEGImages/{name}.jpg" for name in (*NAMES, "without")))
    layout.mask(*(f"SegmentationClass/{name}.png" for name in NAMES), values=(0, 1, 255))
    layout.write("ImageSets/Segmentation/train.txt", "\n".join(NAMES[:8]))
    layout.write("ImageSets/Segmentation/val.txt", "\n".join(NAMES[8:]))


def black_and_white(layout: Any) -> None:
    layout.picture(*(f"images/{name}.jpg" for name in NAMES))
    layout.mask(*(f"masks/{name}_segmentation.png" for name in NAMES), values=(0, 255))


def classes_in_an_archive(layout: Any) -> None:
    layout.picture(*(f"flowers/flowers/{KINDS[int(name) % 2]}/{name}.png" for name in NAMES))


def names_without_endings(layout: Any) -> None:
    layout.picture(*(f"train/{name}.png" for name in NAMES))
    layout.write("labels.csv", "\n".join(["id,breed", *(f"{name},{KINDS[int(name) % 2]}" for name in NAMES)]))


LAYOUTS = {
    **dict.fromkeys((voc, label_img, coco, boxes_in_a_table), "detection"),
    **dict.fromkeys((coco_masks, masks_of_lists, black_and_white), "segmentation"),
    **dict.fromkeys((classes_in_an_archive, names_without_endings), "classification"),
    several_labels: "multilabel",
}


@pytest.mark.slow
@pytest.mark.parametrize(("write", "task"), LAYOUTS.items(), ids=[write.__name__ for write in LAYOUTS])
def test_a_study_of_every_layout_is_drafted_and_trained(
    layout: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, write: Callable[[Any], None], task: str
) -> None:
    monkeypatch.setenv("FTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.chdir(tmp_path)
    write(layout)
    found = recognise(layout.root, task)
    file = tmp_path / "study.yaml"
    text = draft(found, found.read(), backbones.resolve("squeezenet1_1"), file=file, name="study")
    text = text.replace("weights: default", "weights: none").replace("trials: auto", "trials: 1\n  final: off")
    text = re.sub(r"epochs: (?!{)\S+", "epochs: 1", text)
    file.write_text(text.replace("input_size: 224", "input_size: 64"))
    study = run_study(file, report=False).study
    assert [str(trial.state) for trial in study.trials] == ["complete"]
    assert study.task == task
