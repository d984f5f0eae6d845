from __future__ import annotations

import numpy as np
import pytest

from search.data.boxes import BoxTarget, GroundTruthBox
from search.data.sample import Sample, Split
from search.detection.anchors import Statistics, box_sides, covered, statistics


def samples(count: int = 200) -> list[Sample]:
    """Boxes of 10 to 80 pixels in images of 200x100, twice as high as wide."""
    sides = np.geomspace(10, 80, count)
    return [
        Sample(
            None, BoxTarget(200, 100, (GroundTruthBox(0, 0, 0, side / 2**0.5 / 200, side * 2**0.5 / 100),)), Split.TRAIN
        )  # type: ignore[arg-type]
        for side in sides
    ]


def test_sizes_are_those_of_the_networks_input() -> None:
    stretched = box_sides(samples(3), (100, 100), letterbox=False)
    boxed = box_sides(samples(3), (100, 100), letterbox=True)
    assert stretched[0].tolist() == pytest.approx([10 / 2**0.5 / 2, 10 * 2**0.5])
    assert boxed[0].tolist() == pytest.approx([10 / 2**0.5 / 2, 10 * 2**0.5 / 2])


def test_suggested_anchors_span_the_boxes_and_cover_them() -> None:
    found = statistics(samples(), (100, 200), letterbox=False)
    sizes, ratios = found.suggested(4, (100, 200))
    assert sizes[0] == pytest.approx(11, abs=1)
    assert sizes[-1] == pytest.approx(72, abs=2)
    assert np.diff(np.log(sizes)) == pytest.approx(np.full(3, np.log(sizes[-1] / sizes[0]) / 3), abs=0.01)
    assert ratios == (2.0,)
    sides = box_sides(samples(), (100, 200), letterbox=False)
    assert covered(sides, sizes, ratios) == 1.0
    assert covered(sides, (512.0,), (1.0,)) == 0.0
    assert found.suggested(1, (100, 200))[0] == pytest.approx((28.3,), abs=0.5)


def test_they_follow_the_input_size() -> None:
    found = statistics(samples(), (100, 200), letterbox=False)
    small, large = (found.suggested(3, size)[0] for size in ((50, 100), (100, 200)))
    assert large == pytest.approx([2 * size for size in small], abs=0.11)


def test_they_go_to_a_checkpoint_and_come_back() -> None:
    found = statistics(samples(), (100, 200), letterbox=False)
    assert Statistics.from_json(found.to_json()) == found
