"""Images are decoded once for all that ask."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data import cache
from search.data.augment import preset
from search.data.formats.image_folder import Options
from search.data.formats.image_folder import format as image_folder
from search.data.image_loader import Request, image_batches
from search.data.sample import Split
from spaces.backbones._base import Preprocessing


@pytest.fixture
def request_(folder: Path) -> Request:
    return Request(
        dataset=image_folder.read(Options(str(folder)), Path.cwd()),
        split=Split.TRAIN,
        size=(16, 16),
        expected=Preprocessing(),
        batch_size=4,
        device=torch.device("cpu"),
        seed=1,
        augmentation=preset("light", flip=True),
        mix=None,
        folder=None,
        kept={},
        progress=lambda *_: None,
    )


def numbers(samples: object, frame: cache.Frame) -> torch.Tensor:
    return torch.arange(len(samples)).float()  # type: ignore[arg-type]


def test_a_split_is_decoded_once_and_carries_the_targets_of_its_task(
    request_: Request, monkeypatch: pytest.MonkeyPatch
) -> None:
    frame = cache.Frame((16, 16), (18, 18), "bilinear", whole=True)
    found = image_batches(request_, frame, request_.augmentation, numbers)
    monkeypatch.setattr(cache, "decode", None)
    again = image_batches(replace(request_, batch_size=8), frame, request_.augmentation, numbers)
    assert again.pixels is found.pixels
    targets = torch.cat([targets for _, targets in found.epoch(1)])  # type: ignore[misc]
    assert sorted(targets.tolist()) == [float(number) for number in range(len(found.pixels))]


def test_validation_is_neither_shuffled_nor_augmented(request_: Request) -> None:
    frame = cache.Frame((16, 16), (18, 18), "bilinear", whole=False)
    found = image_batches(replace(request_, split=Split.VAL), frame, request_.augmentation, numbers)
    assert found.augmentation is None
    assert not found.shuffle
    assert not found.is_random
