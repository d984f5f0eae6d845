from __future__ import annotations

import pytest

from search.errors import UserError
from search.ranking.options import CostLimits, parse_limits


@pytest.mark.parametrize(
    ("text", "limits"),
    [
        ("10M,1GF", CostLimits(10e6, 1e9)),
        ("300k", CostLimits(300e3)),
        (" 0.5GFLOPs ", CostLimits(None, 0.5e9)),
        ("2GF, 5M", CostLimits(5e6, 2e9)),
    ],
)
def test_limits_are_read(text: str, limits: CostLimits) -> None:
    assert parse_limits(text) == limits


@pytest.mark.parametrize("text", ["", "ten", "-1M", "1M,2M", "0M", "1GF,2GF", "1TB"])
def test_wrong_limits_are_refused(text: str) -> None:
    with pytest.raises(UserError, match="such as 10M,1GF"):
        parse_limits(text)
