from __future__ import annotations

from pathlib import Path

from search.data.sample import Split
from search.records.study import Repeat
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.trials import confirmation


def test_a_repeat_is_named_by_what_is_fresh_in_it() -> None:
    assert confirmation.words(Repeat(7, 2)) == "trial 7, seed 2"
    assert confirmation.words(Repeat(7, 2, 1, 5, 0.25)) == "trial 7, seed 2, fold 1 of 5, 0.25 of the training samples"


def test_folds_are_the_studys_and_labels_the_seeds(study_file: Path) -> None:
    dataset = open_runtime(load_spec(study_file), "cpu").dataset
    one, other = (confirmation.cut(dataset, Repeat(0, 1, 1, 3), study_seed=3, seed=seed) for seed in (1, 2))
    assert one == other
    one, other = (confirmation.cut(dataset, Repeat(0, 1, fraction=0.5), study_seed=3, seed=seed) for seed in (1, 2))
    assert one.dataset.of(Split.TRAIN) != other.dataset.of(Split.TRAIN)
    assert confirmation.cut(dataset, Repeat(0, 1), study_seed=3, seed=1).dataset is dataset
