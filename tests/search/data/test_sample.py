from __future__ import annotations

from PIL import Image

from search.data.images import StoredImage
from search.data.sample import Dataset, Sample, Split


def test_a_data_set_gives_its_samples_by_split() -> None:
    image = StoredImage("d", 0, lambda _: Image.new("L", (1, 1)))
    samples = (Sample(image, 0, Split.TRAIN), Sample(image, 1, Split.VAL))
    assert Dataset("d", ("a", "b"), samples, "f").of(Split.VAL) == samples[1:]
