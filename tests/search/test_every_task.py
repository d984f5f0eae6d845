from __future__ import annotations

import math
from typing import Any

import pytest
import torch

from search.data.formats import formats
from search.data.masks import Masks
from search.tasks import tasks
from search.tasks._base import Task


@pytest.mark.parametrize("task", tasks().values(), ids=lambda task: task.name)
def test_a_task_names_formats_that_exist_and_metrics_with_directions(task: Task) -> None:
    assert set(task.formats) <= set(formats())
    assert task.directions
    assert task.noun.endswith("s")
    assert (task.noun == "images") is (task.reads == "images")
    assert type(task).__module__ == f"search.tasks.{task.name}"


LABELS = torch.arange(12) % 3
FLAGS = torch.nn.functional.one_hot(LABELS, 3).float()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
@pytest.mark.parametrize(
    ("name", "shape", "targets"),
    [
        ("classification", (12, 3), LABELS),
        ("text", (12, 3), LABELS),
        ("multilabel", (12, 3), FLAGS),
        ("regression", (12, 3), FLAGS),
        ("segmentation", (12, 3, 4, 4), Masks(LABELS[:, None, None].expand(-1, 4, 4).to(torch.uint8))),
    ],
)
def test_an_output_that_is_not_a_number_shows_in_the_loss(
    name: str, shape: tuple[int, ...], targets: Any, bad: float
) -> None:
    outputs = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    for broken, expected in ((outputs, True), (outputs.index_fill(0, torch.tensor([3]), bad), False)):
        evaluator = tasks()[name].evaluator(("a", "b", "c"), torch.device("cpu"))
        evaluator.update(broken, targets)
        assert math.isfinite(evaluator.compute()["loss"]) is expected
        for metric in tasks()[name].directions:
            evaluator.judged(metric)
