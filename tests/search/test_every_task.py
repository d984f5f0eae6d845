from __future__ import annotations

import pytest

from search.data.formats import formats
from search.tasks import tasks
from search.tasks._base import Task


@pytest.mark.parametrize("task", tasks().values(), ids=lambda task: task.name)
def test_a_task_names_formats_that_exist_and_metrics_with_directions(task: Task) -> None:
    assert set(task.formats) <= set(formats())
    assert task.directions
    assert task.noun.endswith("s")
    assert (task.noun == "images") is (task.reads == "images")
    assert type(task).__module__ == f"search.tasks.{task.name}"
