from __future__ import annotations

import math
import random

import pytest

from spaces.numbers import short


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.00045, "4.5e-4"),
        (1e-6, "1e-6"),
        (0.05, "0.05"),
        (0.001, "0.001"),
        (0.12345, "0.123"),
        (30, "30"),
        (1234.0, "1234"),
        (123456.0, "1.23e5"),
        (0.0, "0"),
        (-0.00012, "-1.2e-4"),
    ],
)
def test_a_number_has_one_form(value: float, text: str) -> None:
    assert short(value) == text


def test_what_is_read_again_is_within_three_digits() -> None:
    drawn = random.Random(0)
    for _ in range(500):
        value = 10 ** drawn.uniform(-9, 9)
        assert float(short(value)) == pytest.approx(value, rel=5e-3)
    assert short(math.inf) == "inf"
