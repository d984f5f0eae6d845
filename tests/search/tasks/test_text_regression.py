from __future__ import annotations

from pathlib import Path

import pytest
from by_path import module_at

from search.data.texts import Text

shared = module_at("search/tasks/test_text.py")


def test_it_fits_numbers_that_words_decide(tmp_path: Path) -> None:
    values = {"good": 9.0, "fine": 7.0, "poor": 3.0, "bad": 1.0}
    lines = ["text,score"]
    for number in range(16):
        word = tuple(values)[number % 4]
        lines.append(f"{'abcdefghij'[number % 10]} is {word},{values[word]}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    runtime = shared.opened(tmp_path, "text_regression", "{path: t.csv, val_share: 0.25}", epochs=40)
    outcome = shared.trained(runtime, shared.chosen(runtime, pooling="mean"))
    assert max(record.metrics["r2"] for record in outcome.epochs) > 0.9
    assert outcome.evaluation is not None
    assert outcome.evaluation.named([Text("t.csv", "a text")] * 12).pictures[0].sample == "t.csv: a text"
    assert pytest.approx(runtime.task.facts()["mean"][0]) == sum(
        sample.target[0] for sample in runtime.dataset.of(shared.Split.TRAIN)
    ) / len(runtime.dataset.of(shared.Split.TRAIN))
