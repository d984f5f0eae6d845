from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from search.data.image_statistics import image_statistics
from search.data.images import FileImage
from search.data.sample import Sample, Split


def sample(path: Path, pixels: np.ndarray) -> Sample:
    Image.fromarray(pixels.astype(np.uint8)).save(path)
    return Sample(FileImage(path), 0, Split.TRAIN)


def test_numbers_are_what_the_eye_sees(tmp_path: Path) -> None:
    flat = np.full((20, 80, 3), 51)
    board = np.indices((64, 64)).sum(axis=0)[..., None] % 2 * np.array([255, 0, 0])
    dull = image_statistics([sample(tmp_path / "flat.png", flat)])
    loud = image_statistics([sample(tmp_path / "board.png", board)])
    assert dull == {"brightness": pytest.approx(0.2), "contrast": 0.0, "saturation": 0.0, "detail": 0.0, "side": 40.0}
    assert loud["detail"] > 0.5
    assert loud["saturation"] == pytest.approx(0.5, abs=0.01)
    assert loud["contrast"] > dull["contrast"]


def test_a_few_of_many_are_looked_at_and_none_is_not_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    one = sample(tmp_path / "a.png", np.full((8, 8, 3), 100))
    opened: list[int] = []
    plain = FileImage.open
    monkeypatch.setattr(FileImage, "open", lambda image: opened.append(1) or plain(image))
    assert image_statistics([one] * 1000)["side"] == 8.0
    assert len(opened) == 48
    assert image_statistics([]) == {}
    (tmp_path / "a.png").unlink()
    assert image_statistics([one]) == {}
