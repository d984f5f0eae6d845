"""After every epoch a training is stored, judged, ended or paused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from search.errors import TrialError
from search.records.study import EpochRecord, StudyRecord, TrialState, Verdict
from search.sampling import pruners
from search.spec.final_options import FinalOptions
from search.store import leases, reading
from search.trials import trial
from search.trials.context import TrialContext
from search.trials.epoch_recorder import EpochRecorder


def test_a_stopped_trial_is_not_finished(context: TrialContext) -> None:
    claim = leases.claim(context.engine, "colours", "w", 60)
    assert claim is not None
    assert trial.run(replace(context, leave=lambda: True), claim) is TrialState.WAITING
    (found,) = reading.load_study(context.engine, "colours").trials
    assert found.state is TrialState.RUNNING


class Always(pruners.Pruner):
    def verdict(self, number: int, curves: pruners.Curves) -> tuple[Verdict, str]:
        return Verdict.PRUNE, "always"


def test_the_plain_recipe_is_never_pruned_wherever_it_comes(
    context: TrialContext, run_all: Callable[[TrialContext, int], StudyRecord]
) -> None:
    """What all others are compared with has to be trained to its end."""
    spec = context.runtime.spec
    search = replace(spec.search, pruner=Always(), portfolio="on")  # type: ignore[arg-type]
    study = run_all(
        replace(context, runtime=replace(context.runtime, spec=replace(spec, search=search))), search.target
    )
    assert study.baseline is not None
    assert study.baseline.number > 0
    assert study.baseline.state is TrialState.COMPLETE


def test_pareto_safe_pruning_spares_what_is_on_the_front_so_far(
    weighing: TrialContext, run_all: Callable[[TrialContext, int], StudyRecord]
) -> None:
    run_all(weighing, 2)
    spec = weighing.runtime.spec
    search = replace(spec.search, pruner=Always(), pruning="pareto_safe")  # type: ignore[arg-type]
    safe = replace(weighing, runtime=replace(weighing.runtime, spec=replace(spec, search=search)))
    study = run_all(safe, 4)
    for one in study.trials[2:]:
        first, rivals = one.epochs[0].metrics["accuracy"], [study.trials[1]]
        rivals += [other for other in study.trials[2 : one.number] if other.state is TrialState.COMPLETE]
        costs = {"parameters": one.extras["known"]["parameters"]}
        beaten = any(
            other.value is not None
            and (other.value, -other.objectives["parameters"]) != (first, -costs["parameters"])
            and other.value >= first
            and other.objectives["parameters"] <= costs["parameters"]
            for other in rivals
        )
        assert (one.state is TrialState.PRUNED) is beaten


def test_a_network_whose_outputs_are_not_numbers_fails_though_it_predicts_classes(context: TrialContext) -> None:
    claim = leases.claim(context.engine, "colours", "w", 60)
    assert claim is not None
    recorder = EpochRecorder(context, claim, "accuracy", 0)
    broken = EpochRecord(1, 0.5, {"accuracy": 0.5, "loss": float("nan")}, {}, {}, 1.0)
    with pytest.raises(TrialError, match=r"^loss is nan after epoch 1$"):
        recorder.on_epoch(broken)
    assert recorder.on_epoch(replace(broken, epoch=2, metrics={"accuracy": 0.5})) is Verdict.CONTINUE


@pytest.mark.parametrize(("final", "left_s", "ends"), [("on", 49.0, True), ("on", 52.0, False), ("off", 1.0, False)])
def test_the_first_trial_leaves_time_for_others_and_for_the_final_training(
    context: TrialContext, final: str, left_s: float, ends: bool
) -> None:
    """Nothing is known yet of how long its epochs take, so it may turn out to be longer than the whole study."""
    spec = context.runtime.spec
    options = "off" if final == "off" else FinalOptions()
    search = replace(spec.search, timeout=100.0, final=options)
    runtime = replace(context.runtime, spec=replace(spec, search=search))
    timed = replace(context, runtime=runtime, left_s=lambda: left_s)
    claim = leases.claim(context.engine, "colours", "w", 60)
    assert claim is not None
    recorder = EpochRecorder(timed, claim, "accuracy", 5)
    record = EpochRecord(1, 0.5, {"accuracy": 0.5, "loss": 0.7}, {}, {}, 1.0)
    assert recorder.on_epoch(record) is (Verdict.STOP if ends else Verdict.CONTINUE)
    assert ("50 % of the study's time" in recorder.reason) is ends


def test_a_first_trial_that_was_cut_short_is_complete_and_later_ones_are_not_cut(
    context: TrialContext, run_all: Callable[[TrialContext, int], StudyRecord]
) -> None:
    spec = context.runtime.spec
    search = replace(spec.search, timeout=100.0, final=FinalOptions())
    runtime = replace(context.runtime, spec=replace(spec, search=search))
    study = run_all(replace(context, runtime=runtime, left_s=lambda: 10.0), 2)
    first, second = study.trials
    assert (first.state, len(first.epochs)) == (TrialState.COMPLETE, 1)
    assert "no trial is complete" in first.ended
    assert "no trial is complete" not in second.ended
    assert len(second.epochs) > 1
