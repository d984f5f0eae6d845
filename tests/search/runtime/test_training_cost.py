from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from search.runtime.study_runtime import open_runtime
from search.runtime.training_cost import cost_of
from search.spec.load import load_spec


def test_what_is_frozen_costs_less(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    plain = runtime.space.baseline()
    frozen = replace(plain, structure=replace(plain.structure, choices={**plain.structure.choices, "freeze": 8}))
    whole, less = cost_of(runtime, plain), cost_of(runtime, frozen)
    assert whole.frozen_share == 0
    assert 0 < less.frozen_share < 1
    assert less.training_flops < whole.training_flops
    assert 0 < less.traffic < whole.traffic
    size = runtime.size(runtime.build(plain, 0))
    assert whole.forward_flops == size.flops
    assert whole.trained == size.trained
