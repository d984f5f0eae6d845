from __future__ import annotations

import pytest

from search.spec.durations import parse_duration


@pytest.mark.parametrize(("text", "seconds"), [("2h", 7200), ("30m", 1800), ("1.5 s", 1.5), ("1d", 86400), ("20", 20)])
def test_durations_are_read(text: str, seconds: float) -> None:
    assert parse_duration(text) == seconds


@pytest.mark.parametrize("text", ["", "soon", "-3s", "2 weeks", "1h30m"])
def test_what_is_not_a_duration_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="expected a duration such as 2h"):
        parse_duration(text)
