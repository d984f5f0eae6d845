from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import torch

from search.records.study import Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import load_spec
from search.training.fit import fit
from search.trials import refit


def test_a_refit_on_everything_validates_nothing_and_keeps_the_last_weights(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 1)
    plan = runtime.plan(candidate, 1, lambda _: Verdict.CONTINUE, lambda: False, None)
    key = {"data": refit.JOINED, "epochs": 3, "ema": False}
    outcome = fit(network, refit._planned(plan, key))
    assert [dict(record.metrics) for record in outcome.epochs] == [{}] * 3
    assert outcome.best_epoch == 3
    assert outcome.evaluation is None
    assert all(torch.equal(value, outcome.weights[name]) for name, value in network.state_dict().items())


def test_averaged_weights_are_what_is_validated_and_kept(study_file: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 1)
    plan = runtime.plan(candidate, 1, lambda _: Verdict.CONTINUE, lambda: False, None)
    planned = refit._planned(plan, {"data": refit.TRAIN, "epochs": 2, "ema": True})
    outcome = fit(network, replace(planned, objective="loss", maximize=False))
    own = network.state_dict()
    assert set(outcome.weights) == set(own)
    assert any(not torch.equal(value, own[name]) for name, value in outcome.weights.items())
    assert planned.averages
