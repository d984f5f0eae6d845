from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data.sample import Split
from search.errors import UserError
from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.tasks import tasks
from spaces.candidate import Candidate, Recipe


def test_images_are_decoded_once_for_all_trials(runtime: StudyRuntime) -> None:
    first, second = runtime.batches(Split.TRAIN, 1), runtime.batches(Split.TRAIN, 2)
    assert first.pixels is second.pixels


def test_an_epoch_is_estimated_without_changing_anything(runtime: StudyRuntime) -> None:
    before = {name: value.clone() for name, value in runtime.pretrained.chain.state_dict().items()}
    assert runtime.measure(runtime.space.baseline()) > 0
    for name, value in runtime.pretrained.chain.state_dict().items():
        assert torch.equal(value, before[name])


def candidate_of(runtime: StudyRuntime, size: tuple[int, int] = (32, 32), **recipe: object) -> Candidate:
    plain = runtime.space.baseline()
    return Candidate(replace(plain.structure, input_size=size), Recipe({**plain.recipe.choices, **recipe}))


def test_a_candidates_recipe_decides_its_batches(runtime: StudyRuntime) -> None:
    candidate = candidate_of(
        runtime,
        batch_size=4,
        augmentation="strong",
        mixing={"kind": "cutmix", "alpha": 1.0},
        label_smoothing=0.1,
        epochs=0.5,
    )
    plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
    assert plan.epochs == 1
    assert plan.label_smoothing == 0.1
    images, targets = next(iter(plan.train.epoch(1)))
    assert images.shape == (4, 3, 32, 32)
    assert targets.shape == (4, 3)
    assert runtime.batches(Split.TRAIN).batch_size == 9


def test_a_candidates_own_input_size_is_what_it_is_fed(runtime: StudyRuntime) -> None:
    candidate = candidate_of(runtime, size=(40, 48))
    for split in (Split.TRAIN, Split.VAL):
        images, _ = next(runtime.batches(split, candidate=candidate).epoch(1))
        assert images.shape[2:] == (40, 48)


def test_mixing_is_refused_for_a_task_that_cannot_mix(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = study_file.read_text().replace("  optimizer: {}", "  optimizer: {}\n  mixing: {}")
    study_file.write_text(text)
    monkeypatch.setattr(type(tasks()["classification"]), "mixes", False)
    with pytest.raises(UserError, match=r"space.mixing: inputs of the task classification cannot be mixed"):
        open_runtime(load_spec(study_file), "cpu")


def test_decoding_is_reported_split_by_split(runtime: StudyRuntime) -> None:
    told: list[tuple[str, int, int]] = []
    watched = replace(runtime, progress=lambda *event: told.append(event), decoded={})
    cached = replace(watched.spec.training, cache=False)
    replace(watched, spec=replace(watched.spec, training=cached)).decode()
    assert told[-1] == ("decoding val images", 9, 9)
    assert ("decoding train images", 27, 27) in told
