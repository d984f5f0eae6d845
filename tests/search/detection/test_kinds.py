from __future__ import annotations

from search.detection.kinds import KINDS
from spaces import detector


def test_every_kind_that_can_be_chosen_is_built_here() -> None:
    assert list(KINDS) == list(detector.KINDS)
