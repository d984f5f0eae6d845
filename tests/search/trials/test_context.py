"""Where trials run is given once and does not change under them."""

from __future__ import annotations

from dataclasses import FrozenInstanceError, replace

import pytest

from search.trials.context import TrialContext


def test_a_copy_asked_to_stop_leaves_the_original_alone(context: TrialContext) -> None:
    told = replace(context, leave=lambda: True)
    assert told.leave()
    assert not context.leave()
    assert not context.pause()
    with pytest.raises(FrozenInstanceError):
        context.leave = lambda: True  # type: ignore[misc]
