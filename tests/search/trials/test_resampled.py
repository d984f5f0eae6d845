from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from search.data import resampling
from search.data.sample import Split
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.sampling.optuna_study import trial_seed
from search.spec.load import load_spec
from search.trials import resampled


def test_fresh_seeds_differ_from_those_of_the_trials() -> None:
    fresh = {resampled.fresh_seed(3, f"confirm {number}") for number in range(50)}
    assert len(fresh) == 50
    assert not fresh & {trial_seed(3, number) for number in range(1000)}
    assert all(0 <= seed < 2**31 for seed in fresh)


def pixels(runtime: StudyRuntime, split: Split) -> torch.Tensor:
    candidate = runtime.space.baseline()
    return torch.cat([images for images, _ in runtime.batches(split, candidate=candidate).epoch(1)])


def test_data_cut_again_are_those_images_without_decoding_them_again(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    whole = pixels(runtime, Split.VAL)
    share = resampling.share(resampling.unchanged(runtime.dataset), 0.3, seed=1)
    own = resampled.resampled(runtime, share, candidate, views_seed=9)
    assert own.spec.search.seed == 9
    torch.testing.assert_close(pixels(own, Split.VAL), whole)
    few = own.batches(Split.TRAIN, candidate=candidate)
    assert len(few.pixels) == len(share.train)
    assert few.pixels.images is runtime.decoded[Split.TRAIN, candidate.structure.input_size].images


def test_a_fold_validates_images_that_are_decoded_already(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    fold = resampling.fold(runtime.dataset, 2, 3, seed=0)
    lazy = pixels(resampled.resampled(runtime, fold, candidate, views_seed=1), Split.VAL)
    decoded = pixels(replace(runtime, dataset=fold.dataset, decoded={}), Split.VAL)
    torch.testing.assert_close(lazy, decoded)
    labels = torch.cat([targets for _, targets in resampled.resampled(runtime, fold, candidate, views_seed=1)
                        .batches(Split.VAL, candidate=candidate).epoch(1)])  # fmt: skip
    assert labels.tolist() == [sample.target for sample in fold.dataset.of(Split.VAL)]


def test_the_study_itself_shares_what_is_decoded(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    own = resampled.resampled(runtime, resampling.unchanged(runtime.dataset), runtime.space.baseline(), views_seed=4)
    assert own.decoded is runtime.decoded
