"""What the store keeps of a study, and what makes two of them the same."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime
from search.runtime.versions import versions


def test_a_study_is_reported_apart_by_what_matters_and_by_nothing_else(study_file: Path, runtime: StudyRuntime) -> None:
    spec = runtime.spec
    plain = study_record(runtime).identity
    longer = replace(runtime, spec=replace(spec, search=replace(spec.search, trials=99, timeout=5.0)))
    assert study_record(longer).identity == plain
    other = replace(runtime, spec=replace(spec, training=replace(spec.training, epochs=9)))
    assert study_record(other).identity != plain


def test_the_study_record_describes_data_and_units(runtime: StudyRuntime) -> None:
    record = study_record(runtime)
    assert record.dataset.counts["val"] == {"blue": 3, "green": 3, "red": 3}
    assert [unit.name for unit in record.units] == [unit.name for unit in runtime.pretrained.chain]
    assert "torch" in versions()


def test_options_that_came_later_do_not_part_a_study_from_its_past(runtime: StudyRuntime) -> None:
    plain = study_record(runtime).identity["training"]
    assert not {"prefix_cache", "views", "features"} & set(plain)
    training = replace(runtime.spec.training, views=3)
    other = replace(runtime, spec=replace(runtime.spec, training=training))
    assert study_record(other).identity["training"] == {**plain, "views": 3}
