from __future__ import annotations

from search.records.study import StudyRecord
from search.store import memory_fits, writing
from search.store.connection import Engine

ONE = {"structure": {"choices": {"tail": 1}}, "recipe": {"lr": 1}}


def test_what_fitted_is_remembered_for_the_structure_however_it_is_trained(engine: Engine, record: StudyRecord) -> None:
    writing.create_study(engine, record)
    key = memory_fits.structure_key(ONE)
    assert key == memory_fits.structure_key(ONE | {"recipe": {"lr": 2}})
    assert key != memory_fits.structure_key({"structure": {"choices": {"tail": 2}}})
    assert memory_fits.recall(engine, "s", key, "cpu") is None
    memory_fits.remember(engine, "s", key, "cpu", 16)
    memory_fits.remember(engine, "s", key, "cpu", 8)
    assert memory_fits.recall(engine, "s", key, "cpu") == 8
    assert memory_fits.recall(engine, "s", key, "NVIDIA H100") is None
    memory_fits.remember(engine, "unknown", key, "cpu", 8)
