from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.data.sample import Split
from search.laboratory import Laboratory, open_laboratory, versions
from search.spec import load_spec


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
