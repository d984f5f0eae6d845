from __future__ import annotations

import csv
import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest


@pytest.fixture
def model(here: Path, ftsearch: Callable[..., Any]) -> Path:
    assert ftsearch("export", "colours", "-o", "model").code == 0
    return here / "model"


def test_one_image(model: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("predict", model, "data/red/0.png", "--top", 2)
    assert done.code == 0
    assert done.out.startswith("data/red/0.png: ")
    assert done.out.count("%") == 2


def test_a_folder_as_csv_and_json(model: Path, ftsearch: Callable[..., Any]) -> None:
    rows = list(csv.DictReader(io.StringIO(ftsearch("predict", model, "data", "--csv").out)))
    assert len(rows) == 36 * 3
    assert sum(float(row["probability"]) for row in rows[:3]) == pytest.approx(1, abs=1e-4)
    found = ftsearch("predict", model, "data", "--json", "--top", 1).data
    assert [one["file"] for one in found] == [row["file"] for row in rows[::3]]
    assert ftsearch("predict", model, "data", "--json", "--csv").code == 2


def test_broken_images_of_a_folder_are_skipped_and_counted(model: Path, ftsearch: Callable[..., Any]) -> None:
    Path("data/red/broken.png").write_bytes(Path("data/red/0.png").read_bytes()[:60])
    Path("data/red/text.jpg").write_text("no picture")
    done = ftsearch("predict", model, "data/red")
    assert done.code == 0
    assert done.out.count("\n") == 12
    assert "2 of 14 images could not be read and were skipped" in done.err
    assert "skipped data/red/text.jpg: not an image, or of an unknown format" in done.err


def test_wrong_input_is_one_line_and_exit_2(model: Path, ftsearch: Callable[..., Any]) -> None:
    Path("broken.jpg").write_text("no picture")
    (model.parent / "other").mkdir()
    wrong = (
        (("predict", model, "broken.jpg"), "cannot read the image broken.jpg: not an image"),
        (("predict", model, "nowhere"), "no image and no folder at nowhere"),
        (("predict", "other", "data"), "other is no model: it holds no model.json"),
        (("predict", model, "data", "--format", "onnx"), "not exported as 'onnx'"),
    )
    for arguments, message in wrong:
        done = ftsearch(*arguments)
        assert (done.code, done.err.count("\n")) == (2, 1), done
        assert message in done.err
    weights = model / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    done = ftsearch("predict", model, "data")
    assert done.code == 2
    assert "model.safetensors is damaged or was changed" in done.err
