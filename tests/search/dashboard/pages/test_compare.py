from __future__ import annotations

import pytest

from search.dashboard.pages import compare as page
from search.dashboard.study_cache import StudyCache

MANY = ",".join(map(str, range(50)))


@pytest.mark.parametrize(
    ("query", "numbers"),
    [
        ("?trials=5,3,5", [3, 5]),
        ("?trials=x,-1,²", []),
        ("", []),
        (f"?trials={MANY}", list(range(12))),
    ],
)
def test_the_trials_come_from_the_address(query: str, numbers: list[int]) -> None:
    assert page.numbers_of(query) == numbers


def test_trials_are_reported_apart(cache: StudyCache) -> None:
    text = str(page.page(cache.chosen("drawn", [3, 5]), [3, 5]))
    assert "2 trials compared" in text
    assert "Trial 5 against trial 3:" in text
    assert "side_curves" in text


def test_one_trial_is_not_compared(cache: StudyCache) -> None:
    assert "Tick two or more" in str(page.page(cache.study("drawn"), [3]))
