from __future__ import annotations

import pytest

from search.spec.load import parse_spec
from search.training.options import TrainingOptions


@pytest.mark.parametrize("options", [{"epochs": 0}, {"batch_size": -1}])
def test_nothing_to_train_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="at least 1"):
        TrainingOptions(**options)


@pytest.mark.parametrize(
    ("trials", "most", "epochs", "views"),
    [(6, 3, 3, 1), (50, 1, 1, 1), (20, 5, 5, 1), (6, 10, 10, 2), (100, 10, 10, 3), (100, 24, 24, 4), (100, 24, 6, 2)],
)
def test_views_are_what_study_and_training_can_afford(trials: int, most: int, epochs: int, views: int) -> None:
    assert TrainingOptions().views_for(trials, most, epochs) == views
    assert TrainingOptions(views=4).views_for(trials, most, epochs) == min(4, epochs)


@pytest.mark.parametrize(("samples", "epochs"), [(24, 30), (240, 30), (257, 27), (700, 11), (2000, 5), (60_000, 5)])
def test_small_sets_are_passed_over_more_often(samples: int, epochs: int) -> None:
    assert TrainingOptions().most_epochs(samples) == epochs
    assert TrainingOptions(epochs=8).most_epochs(samples) == 8


def test_candidates_whose_steps_cost_more_get_fewer_where_the_study_does_not_say() -> None:
    auto, fixed = TrainingOptions(), TrainingOptions(epochs=12)
    assert [auto.epochs_for(240, 1.0, learning) for learning in (0.0, 0.3, 1.0)] == [30, 24, 10]
    assert [auto.epochs_for(240, 0.5, learning) for learning in (0.0, 1.0)] == [15, 5]
    assert auto.epochs_for(5000, 0.5, 1.0) == 5
    assert [fixed.epochs_for(240, share, 1.0) for share in (1.0, 0.5, 0.01)] == [12, 6, 1]


def test_patience_grows_with_the_training() -> None:
    assert [TrainingOptions().patience_for(epochs) for epochs in (1, 10, 30)] == [6, 6, 12]
    assert TrainingOptions(patience=3).patience_for(30) == 3
    assert TrainingOptions(patience=0).patience_for(30) == 0
    with pytest.raises(ValueError, match="patience must be at least 0, got -1"):
        TrainingOptions(patience=-1)


def test_no_views_are_refused() -> None:
    with pytest.raises(ValueError, match="views must be at least 1, got 0"):
        TrainingOptions(views=0)


def test_a_study_file_may_say_off() -> None:
    text = (
        "name: x\ndata: {path: here}\nbackbone: resnet18\ntraining: {balance: off, prefix_cache: off, compile: off}\n"
    )
    training = parse_spec(text).training
    assert (training.balance, training.prefix_cache, training.compile) == ("off", "off", "off")
