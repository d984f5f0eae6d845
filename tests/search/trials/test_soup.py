"""The mean of several trainings: what it is, how it resumes, and what happens if it is worse."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor

from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training import checkpoint as files
from search.training.fit import TrainingPlan, fit
from search.trials import soup
from search.trials.attempt import AttemptSettings
from spaces.candidate import Candidate
from spaces.networks.build import Network


class Member:
    """An attempt that takes a second and leaves a checkpoint."""

    def __init__(self, setting: AttemptSettings, clock: dict[str, float]) -> None:
        self.setting, self.clock = setting, clock
        self.rolling = files.Rolling(None, "", (f"{setting.member}-epoch", f"{setting.member}-before"))  # type: ignore[arg-type]

    def fit(self) -> object:
        self.clock["now"] += 1
        return type("Result", (), {"verdict": self.clock.get("verdict", Verdict.CONTINUE)})


@pytest.mark.parametrize(("within", "count"), [(0.5, 1), (2.9, 2), (3.0, 3), (99.0, 4)])
def test_as_many_members_are_trained_as_there_is_time_for(
    monkeypatch: pytest.MonkeyPatch, within: float, count: int
) -> None:
    clock = {"now": 0.0}
    monkeypatch.setattr(soup.time, "monotonic", lambda: clock["now"])
    setting = AttemptSettings(seed=1, words="")
    done = soup.trainings(lambda own: Member(own, clock), setting, 4, within)  # type: ignore[arg-type, return-value]
    assert [one.setting.member for one, _ in done] == list(range(count))  # type: ignore[attr-defined]
    # What the others have left stays known to the worker that takes over.
    assert done[-1][0].setting.finished == tuple(f"{member}-epoch" for member in range(count - 1))  # type: ignore[attr-defined]


def test_an_interrupted_member_is_the_last(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = {"now": 0.0, "verdict": Verdict.PAUSE}
    done = soup.trainings(lambda own: Member(own, clock), AttemptSettings(seed=1, words=""), 3, 99.0)  # type: ignore[arg-type, return-value, dict-item]
    assert len(done) == 1


def trained(
    study_file: Path,
) -> tuple[StudyRuntime, Candidate, Network, TrainingPlan, Mapping[str, Tensor]]:
    """Return a study's plain recipe after a training of three epochs: its runtime, network, plan and weights."""
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    network = runtime.build(candidate, 0)
    plan = replace(runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None), epochs=3)
    weights = fit(network, plan).weights
    return runtime, candidate, network, plan, weights


def test_the_mean_is_taken_unless_a_barrier_lies_between_the_members(study_file: Path) -> None:
    runtime, candidate, network, plan, weights = trained(study_file)
    near = {name: value * 1.001 if value.is_floating_point() else value for name, value in weights.items()}
    mean = soup.averaged(runtime, candidate, network, [weights, near], plan)
    assert mean is not None
    for name, value in weights.items():
        expected = (value.double() + near[name].double()) / 2 if value.is_floating_point() else value
        assert torch.allclose(mean[name].double(), expected.double(), rtol=1e-6), name
    # The same function with its hidden channels negated and in another order has another mean.
    far: dict[str, Tensor] = {name: -value if value.ndim > 1 else value for name, value in weights.items()}
    assert soup.averaged(runtime, candidate, network, [weights, far], plan) is None
    assert soup.averaged(runtime, candidate, network, [weights], plan) is None


def test_branches_are_trainings_or_means_of_some_that_fit_the_training_samples(study_file: Path) -> None:
    runtime, candidate, network, plan, weights = trained(study_file)

    def near(share: float) -> dict[str, Tensor]:
        return {name: value * share if value.is_floating_point() else value for name, value in weights.items()}

    members = [weights, near(1.001), near(1.002), near(1.003)]
    assert soup.side_by_side(runtime, candidate, network, members, plan, 4) == members
    two = soup.side_by_side(runtime, candidate, network, members, plan, 2)
    for found, share in zip(two, (1.001, 1.002), strict=True):  # the first and third, the second and fourth
        assert all(torch.allclose(found[name], value, rtol=1e-5) for name, value in near(share).items())
    (one,) = soup.side_by_side(runtime, candidate, network, members, plan, 1)
    assert all(torch.allclose(one[name], value, rtol=1e-5) for name, value in near(1.0015).items())
    untaught = {name: -value if value.ndim > 1 else value for name, value in weights.items()}
    assert soup.side_by_side(runtime, candidate, network, [weights, untaught], plan, 2) == [weights]


def test_a_training_that_keeps_its_end_gives_its_result_again(study_file: Path, tmp_path: Path) -> None:
    runtime = open_runtime(load_spec(study_file), "cpu")
    candidate = runtime.space.baseline()
    seen: list[int] = []

    def on_epoch(record: EpochRecord) -> Verdict:
        seen.append(record.epoch)
        return Verdict.CONTINUE

    results = []
    for _ in range(2):
        rolling = files.Rolling.in_folder(tmp_path)
        plan = runtime.plan(candidate, 0, on_epoch, lambda: False, rolling)
        plan = replace(plan, epochs=2, validates=False, keeps_end=True)
        results.append(fit(runtime.build(candidate, 0), plan))
    assert seen == [1, 2]  # the second time nothing was left to train
    first, again = (one.weights for one in results)
    assert all(torch.equal(first[name], again[name]) for name in first)
