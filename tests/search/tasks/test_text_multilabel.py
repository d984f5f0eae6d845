from __future__ import annotations

from pathlib import Path

import pytest
from by_path import module_at

shared = module_at("search/tasks/test_text.py")


def test_it_overfits_texts_with_several_labels(tmp_path: Path) -> None:
    words = ("good", "film")
    lines = ["text,labels"]
    for number in range(16):
        shown = [word for place, word in enumerate(words) if number >> place & 1]
        lines.append(f"{'abcdefghij'[number % 10]} {' '.join(shown)} is,{';'.join(shown)}")
    (tmp_path / "t.csv").write_text("\n".join(lines) + "\n")
    runtime = shared.opened(tmp_path, "text_multilabel", "{path: t.csv, val_share: 0.25}", epochs=40)
    outcome = shared.trained(runtime, shared.chosen(runtime, pooling="max"))
    assert max(record.metrics["subset_accuracy"] for record in outcome.epochs) == 1.0
    assert max(record.metrics["map"] for record in outcome.epochs) == pytest.approx(1.0)
