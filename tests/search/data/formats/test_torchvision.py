from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from torchvision import datasets

from search.data.formats.torchvision import Options
from search.data.formats.torchvision import format as torchvision
from search.data.sample import Split
from search.errors import DataError


class Small(datasets.FakeData):
    """A data set with train and test parts, as CIFAR10 has them, that needs no download."""

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        super().__init__(size=40 if train else 12, image_size=(3, 10, 10), num_classes=3)
        self.classes = ["a", "b", "c"]


def test_a_data_set_is_read_by_its_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "Small", Small, raising=False)
    dataset = torchvision.read(Options("Small", str(tmp_path)), tmp_path)
    assert dataset.classes == ("a", "b", "c")
    assert len(dataset.of(Split.TRAIN)) + len(dataset.of(Split.VAL)) == 40
    assert len(dataset.of(Split.TEST)) == 12


def test_an_unknown_data_set_is_refused(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no data set 'CIFAR11'"):
        torchvision.read(Options("CIFAR11"), tmp_path)


def test_a_missing_data_set_says_how_to_get_it(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"data\.download: true"):
        torchvision.read(Options("CIFAR10", str(tmp_path)), tmp_path)


class Sorted(Small):
    """As many of torchvision's: all images of a class one after the other."""

    def __init__(self, root: str, train: bool = True, download: bool = False) -> None:
        super().__init__(root, train, download)
        self.targets = sorted(number % 3 for number in range(len(self)))


def test_a_limit_takes_every_class_its_share(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets, "Sorted", Sorted, raising=False)
    found = torchvision.read(Options("Sorted", str(tmp_path), limit=12, val_share=0.5), tmp_path)
    counts = Counter(sample.target for sample in found.samples if sample.split is not Split.TEST)
    assert counts == {0: 4, 1: 4, 2: 4}
    for sample in found.samples:  # each image with its own label
        assert (
            found.classes[sample.target]
            == "abc"[Sorted("", sample.split is not Split.TEST).targets[sample.input.index]]
        )  # type: ignore[attr-defined]
