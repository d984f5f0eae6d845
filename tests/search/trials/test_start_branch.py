"""The network before training as a branch: what it is, and what it weighs."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from search.records.study import Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.training.fit import fit
from search.trials import soup, start_branch


def test_outputs_are_the_mean_of_what_has_learnt_and_of_the_start(study_file: Path) -> None:
    study_file.write_text(study_file.read_text().replace("epochs: 2", "epochs: 2, precision: float32"))
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    weights = fit(network, replace(plan, epochs=2)).weights
    assert start_branch.start_of(runtime, candidate, network, replace(plan, start=None)) is None
    assert start_branch.start_of(runtime, candidate, network, replace(plan, is_solved=True)) is None
    start = start_branch.start_of(runtime, candidate, network, plan)
    assert start is not None
    untouched = runtime.build(candidate, 0)
    assert plan.start is not None
    assert plan.start(untouched)
    for name, value in untouched.state_dict().items():
        assert torch.equal(start[name], value), name
    learnt = [weights, {name: value * 1.1 if value.is_floating_point() else value for name, value in weights.items()}]
    found = start_branch.beside_start(runtime, candidate, network, learnt, start, plan)
    plain = [soup.outputs(runtime, candidate, network, plan, one).double().numpy() for one in (*learnt, start)]
    scaled = [soup.outputs(runtime, candidate, network, plan, one).double().numpy() for one in found]
    spread = [np.sqrt(np.square(one - one.mean(axis=0)).mean()) for one in plain]
    share = spread[0] / spread[-1] / 3
    expected = (np.mean(plain[:-1], axis=0) + share * plain[-1]) / (1 + share)
    assert np.mean(scaled, axis=0) == pytest.approx(expected, rel=1e-4, abs=1e-4)
    silent = {name: torch.zeros_like(value) for name, value in weights.items()}
    assert start_branch.beside_start(runtime, candidate, network, [silent], start, plan) == [silent]
