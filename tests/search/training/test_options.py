from __future__ import annotations

import pytest

from search.training.options import TrainingOptions


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": -1}])
def test_nothing_to_train_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TrainingOptions(**options)
