from __future__ import annotations

import pytest

from search.spec.load import parse_spec
from search.training.options import TrainingOptions


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": -1}])
def test_nothing_to_train_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TrainingOptions(**options)


@pytest.mark.parametrize(("epochs", "trials", "views"), [(3, 6, 2), (1, 50, 1), (5, 20, 3), (10, 6, 2), (10, 100, 10)])
def test_views_are_what_the_study_can_afford(epochs: int, trials: int, views: int) -> None:
    assert TrainingOptions(epochs=epochs).views_for(trials) == views
    assert TrainingOptions(epochs=epochs, views=4).views_for(trials) == 4


def test_no_views_are_refused() -> None:
    with pytest.raises(ValueError, match="views must be at least 1, got 0"):
        TrainingOptions(views=0)


def test_what_is_off_may_be_said_so_in_a_study_file() -> None:
    text = (
        "name: x\ndata: {path: here}\nbackbone: resnet18\ntraining: {balance: off, prefix_cache: off, compile: off}\n"
    )
    training = parse_spec(text).training
    assert (training.balance, training.prefix_cache, training.compile) == ("off", "off", "off")
