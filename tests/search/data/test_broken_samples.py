from __future__ import annotations

import pytest

from search.data.broken_samples import refuse
from search.errors import BrokenSamplesError


def test_the_first_fault_is_named_with_how_many_more_there_are() -> None:
    with pytest.raises(
        BrokenSamplesError, match=r"^row 1 is bad \(2 more faults\); fix it, or set `on_error: skip`"
    ) as caught:
        refuse(["row 1 is bad", "x", "y"], "refuse")
    assert caught.value.lines == ("row 1 is bad", "x", "y")
    with pytest.raises(BrokenSamplesError, match=r"^data: row 1 is bad \(1 more fault\); fix it"):
        refuse(["row 1 is bad", "x"], "refuse", "data")


def test_nothing_is_raised_where_faults_are_skipped_or_there_are_none() -> None:
    refuse(["row 1 is bad"], "skip")
    refuse([], "refuse")
