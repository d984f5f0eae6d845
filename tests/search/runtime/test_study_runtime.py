from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data.sample import Split
from search.errors import UserError
from search.records.study import Verdict
from search.runtime.study_runtime import Laboratory, open_laboratory, versions
from search.spec import load as specs
from search.spec.load import load_spec
from spaces.candidate import Candidate, Recipe


@pytest.fixture
def laboratory(study_file: Path) -> Laboratory:
    return open_laboratory(load_spec(study_file), "cpu")


def test_a_study_is_told_apart_by_what_matters_and_by_nothing_else(study_file: Path, laboratory: Laboratory) -> None:
    spec = laboratory.spec
    plain = laboratory.record().identity
    longer = replace(laboratory, spec=replace(spec, search=replace(spec.search, trials=99, timeout=5.0)))
    assert longer.record().identity == plain
    other = replace(laboratory, spec=replace(spec, training=replace(spec.training, epochs=9)))
    assert other.record().identity != plain


def test_images_are_decoded_once_for_all_trials(laboratory: Laboratory) -> None:
    first, second = laboratory.batches(Split.TRAIN, 1), laboratory.batches(Split.TRAIN, 2)
    assert first.pixels is second.pixels


def test_an_epoch_is_estimated_without_changing_anything(laboratory: Laboratory) -> None:
    before = {name: value.clone() for name, value in laboratory.pretrained.chain.state_dict().items()}
    assert laboratory.measure(laboratory.space.baseline()) > 0
    for name, value in laboratory.pretrained.chain.state_dict().items():
        assert torch.equal(value, before[name])


def test_the_study_record_describes_data_and_units(laboratory: Laboratory) -> None:
    record = laboratory.record()
    assert record.dataset.counts["val"] == {"blue": 3, "green": 3, "red": 3}
    assert [unit.name for unit in record.units] == [unit.name for unit in laboratory.pretrained.chain]
    assert "torch" in versions()


def candidate_of(laboratory: Laboratory, size: tuple[int, int] = (32, 32), **recipe: object) -> Candidate:
    plain = laboratory.space.baseline()
    return Candidate(replace(plain.structure, input_size=size), Recipe({**plain.recipe.choices, **recipe}))


def test_a_candidates_recipe_decides_its_batches(laboratory: Laboratory) -> None:
    candidate = candidate_of(
        laboratory,
        batch_size=4,
        augmentation="strong",
        mixing={"kind": "cutmix", "alpha": 1.0},
        label_smoothing=0.1,
        epochs=0.5,
    )
    course = laboratory.course(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None)
    assert course.epochs == 1
    assert course.label_smoothing == 0.1
    images, targets = next(iter(course.train.epoch(1)))
    assert images.shape == (4, 3, 32, 32)
    assert targets.shape == (4, 3)
    assert laboratory.batches(Split.TRAIN).batch_size == 9


def test_a_candidates_own_input_size_is_what_it_is_fed(laboratory: Laboratory) -> None:
    candidate = candidate_of(laboratory, size=(40, 48))
    for split in (Split.TRAIN, Split.VAL):
        images, _ = next(laboratory.batches(split, candidate=candidate).epoch(1))
        assert images.shape[2:] == (40, 48)


def test_mixing_is_refused_for_a_task_that_cannot_mix(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    text = study_file.read_text().replace("  optimizer: {}", "  optimizer: {}\n  mixing: {}")
    study_file.write_text(text)
    monkeypatch.setattr(type(specs.tasks()["classification"]), "mixes", False)
    with pytest.raises(UserError, match=r"space.mixing: inputs of the task classification cannot be mixed"):
        open_laboratory(load_spec(study_file), "cpu")


def test_decoding_is_told_split_by_split(laboratory: Laboratory) -> None:
    told: list[tuple[str, int, int]] = []
    watched = replace(laboratory, progress=lambda *event: told.append(event), decoded={})
    cached = replace(watched.spec.training, cache=False)
    replace(watched, spec=replace(watched.spec, training=cached)).decode()
    assert told[-1] == ("decoding val images", 9, 9)
    assert ("decoding train images", 27, 27) in told


def test_options_that_came_later_do_not_part_a_study_from_its_past(laboratory: Laboratory) -> None:
    plain = laboratory.record().identity["training"]
    assert not {"prefix_cache", "views", "features"} & set(plain)
    training = replace(laboratory.spec.training, views=3)
    other = replace(laboratory, spec=replace(laboratory.spec, training=training))
    assert other.record().identity["training"] == {**plain, "views": 3}
