from __future__ import annotations

from pathlib import Path

from search.data.formats.digits import Options
from search.data.formats.digits import format as digits
from search.data.sample import Split


def test_the_digits_are_there_with_all_three_splits() -> None:
    dataset = digits.read(Options(), Path("/"))
    assert len(dataset.samples) == 1797
    assert dataset.classes == tuple("0123456789")
    assert all(dataset.of(split) for split in Split)
    assert dataset.samples[0].input.open().size == (8, 8)
