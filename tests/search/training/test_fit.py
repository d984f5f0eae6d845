from __future__ import annotations

from dataclasses import replace
from functools import partial
from pathlib import Path
from unittest.mock import Mock

import pytest
import torch

from search.errors import TrialError
from search.records.study import EpochRecord, Verdict
from search.tasks.classification import task
from search.training import fit as fitting
from search.training.batch_norm_statistics import recalibrate
from search.training.epoch import whole
from search.training.fit import TrainingPlan, fit
from search.training.optimizers import optimize
from search.training.out_of_memory import MicroBatches
from search.training.precision import choose
from spaces import heads
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty
from spaces.networks import build
from spaces.networks.space import Space

CLASSES = ("a", "b", "c")


class Toy:
    """Images whose class is the channel that is brightest."""

    def __init__(self, seed: int, poison: bool = False) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.targets = torch.arange(24) % 3
        self.images = torch.randn(24, 3, 16, 16, generator=generator) * 0.3
        self.images[torch.arange(24), self.targets] += 1.0
        if poison:
            self.images[0] = float("nan")

    def epoch(self, number: int) -> list[tuple[torch.Tensor, torch.Tensor]]:
        order = torch.randperm(24, generator=torch.Generator().manual_seed(number))
        return [(self.images[part], self.targets[part]) for part in order.split(8)]


def network_of(pretrained: Pretrained, **choices: object) -> build.Network:
    space = Space(pretrained, {})
    plain = space.baseline()
    structure = replace(plain.structure, choices={**plain.structure.choices, **choices})
    candidate = Candidate(structure, plain.recipe)
    return build.build(
        space.apply(candidate),
        space.values(candidate),
        lambda features, choice, _: heads.vector_head(features, 3, choice),
        0,
    )


def plan(**changes: object) -> TrainingPlan:
    plain = TrainingPlan(
        task=task,
        classes=CLASSES,
        train=Toy(0),
        val=Toy(1),
        epochs=4,
        objective="accuracy",
        maximize=True,
        seed=3,
        precision=choose(torch.device("cpu"), "float32"),
        optimize=lambda network, steps: optimize(
            network, Optimizer("adamw", 0.01, 0.003, schedule="cosine"), Penalty(), steps
        ),  # type: ignore[arg-type]
        steps_per_epoch=3,
        penalties=partial(build.penalties, penalty=Penalty("l2", 1e-3)),  # type: ignore[arg-type]
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def test_a_network_learns_and_every_epoch_is_reported(tiny: Pretrained) -> None:
    told: list[EpochRecord] = []

    def on_epoch(record: EpochRecord) -> Verdict:
        told.append(record)
        return Verdict.CONTINUE

    outcome = fit(network_of(tiny, dropout={"head": 0.2, "depth": 0.0}), plan(on_epoch=on_epoch))
    assert [record.epoch for record in told] == [1, 2, 3, 4]
    assert outcome.epochs == tuple(told)
    assert told[-1].train_loss < told[0].train_loss
    assert told[-1].metrics["accuracy"] > 0.9
    assert told[0].train_loss == pytest.approx(sum(told[0].loss_terms.values()))
    assert set(told[0].loss_terms) == {"task", "l2"}
    assert outcome.evaluation is not None
    assert sum(sum(row) for row in outcome.evaluation.confusion) == 24


def curve(outcome: fitting.TrainingResult) -> list[tuple[float, float]]:
    return [(record.train_loss, record.metrics["loss"]) for record in outcome.epochs]


def test_the_same_seed_gives_the_same_curve(tiny: Pretrained) -> None:
    dropout = {"head": 0.5, "depth": 0.3}
    first, second, other = (fit(network_of(tiny, dropout=dropout), plan(seed=seed)) for seed in (1, 1, 2))
    assert curve(first) == curve(second)
    assert curve(first) != curve(other)


@pytest.mark.parametrize("after", [1, 2, 3])
def test_a_training_that_was_paused_goes_on_as_if_nothing_had_happened(
    tiny: Pretrained, tmp_path: Path, after: int
) -> None:
    dropout = {"head": 0.5, "depth": 0.0}
    undisturbed = fit(network_of(tiny, dropout=dropout), plan())

    def pause(record: EpochRecord) -> Verdict:
        return Verdict.PAUSE if record.epoch == after else Verdict.CONTINUE

    first = fit(network_of(tiny, dropout=dropout), plan(folder=tmp_path, on_epoch=pause))
    assert first.verdict is Verdict.PAUSE
    assert len(first.epochs) == after
    second = fit(network_of(tiny, dropout=dropout), plan(folder=tmp_path))
    assert curve(second) == curve(undisturbed)
    assert second.best_epoch == undisturbed.best_epoch
    for name, value in undisturbed.weights.items():
        torch.testing.assert_close(second.weights[name], value, rtol=0, atol=0)


def test_averaged_weights_go_on_after_a_pause_as_well(tiny: Pretrained, tmp_path: Path) -> None:
    def pause(record: EpochRecord) -> Verdict:
        return Verdict.PAUSE if record.epoch == 2 else Verdict.CONTINUE

    undisturbed = fit(network_of(tiny), plan(averages=True))
    fit(network_of(tiny), plan(averages=True, folder=tmp_path, on_epoch=pause))
    second = fit(network_of(tiny), plan(averages=True, folder=tmp_path))
    assert curve(second) == curve(undisturbed)
    assert curve(second) != curve(fit(network_of(tiny), plan()))


def test_leaving_in_the_middle_of_an_epoch_loses_only_that_epoch(tiny: Pretrained, tmp_path: Path) -> None:
    steps = iter(range(100))
    outcome = fit(network_of(tiny), plan(leave=lambda: next(steps) >= 7, folder=tmp_path))
    assert outcome.verdict is Verdict.PAUSE
    assert len(outcome.epochs) == 1


def test_a_pruned_training_ends_at_once(tiny: Pretrained) -> None:
    outcome = fit(network_of(tiny), plan(on_epoch=lambda record: Verdict.PRUNE))
    assert (outcome.verdict, len(outcome.epochs)) == (Verdict.PRUNE, 1)


def test_the_weights_are_those_of_the_best_epoch(tiny: Pretrained) -> None:
    network = network_of(tiny)
    states: list[dict[str, torch.Tensor]] = []

    def on_epoch(record: EpochRecord) -> Verdict:
        states.append({name: value.clone() for name, value in network.state_dict().items()})
        return Verdict.CONTINUE

    outcome = fit(network, plan(on_epoch=on_epoch, objective="loss", maximize=False))
    assert outcome.best_epoch is not None
    losses = [record.metrics["loss"] for record in outcome.epochs]
    assert losses[outcome.best_epoch - 1] == min(losses)
    for name, value in states[outcome.best_epoch - 1].items():
        assert torch.equal(outcome.weights[name], value)


def test_a_loss_that_is_not_a_number_ends_the_trial_with_that_reason(tiny: Pretrained) -> None:
    with pytest.raises(TrialError, match="not finite in epoch 1") as caught:
        fit(network_of(tiny), plan(train=Toy(0, poison=True)))
    assert caught.value.kind == "nan"


def test_running_out_of_memory_halves_the_batch_and_keeps_the_step(
    tiny: Pretrained, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Frozen batch norm, so that the pieces of a batch do not change its statistics.
    whole = fit(network_of(tiny, freeze=4), plan(epochs=2))
    network = network_of(tiny, freeze=4)
    forward = network.forward

    def small(images: torch.Tensor) -> torch.Tensor:
        if len(images) > 3:
            raise torch.OutOfMemoryError("out of memory")
        return forward(images)

    monkeypatch.setattr(network, "forward", small)
    pieces = fit(network, plan(epochs=2))
    assert pieces.micro_batch == 2
    for own, other in zip(curve(pieces), curve(whole), strict=True):
        assert own == pytest.approx(other, rel=1e-5)


@pytest.mark.parametrize(("patience", "epochs"), [(1, 2), (2, 3), (3, 4), (0, 4)])
def test_a_training_ends_once_it_has_waited_for_a_better_epoch_in_vain(
    tiny: Pretrained, patience: int, epochs: int
) -> None:
    """At a rate of 0 nothing changes, so the first epoch stays the best one."""
    still = plan(optimize=lambda network, steps: optimize(network, Optimizer("sgd", 0.0, 0.0), Penalty(), steps))
    outcome = fit(network_of(tiny, freeze=4), replace(still, patience=patience))
    assert len(outcome.epochs) == epochs
    assert outcome.best_epoch == 1
    assert outcome.reason == ("no better one since epoch 1" if epochs < 4 else "")
    assert outcome.verdict is (Verdict.STOP if epochs < 4 else Verdict.CONTINUE)


def test_without_validation_there_is_nothing_to_wait_for(tiny: Pretrained) -> None:
    outcome = fit(network_of(tiny, freeze=4), plan(patience=1, validates=False))
    assert len(outcome.epochs) == 4


def test_where_nothing_is_validated_batch_norms_get_the_statistics_of_plain_samples(tiny: Pretrained) -> None:
    plain, never = Toy(5), Mock(side_effect=AssertionError("built, but not read"))
    found, without = (fit(network_of(tiny), plan(plain=own, validates=False)) for own in (lambda: plain, None))
    names = [name for name in found.weights if name.endswith("running_mean")]
    assert names
    assert not any(torch.equal(found.weights[name], without.weights[name]) for name in names)
    validated, known = (fit(network_of(tiny), plan(plain=own)) for own in (never, None))
    assert all(torch.equal(validated.weights[name], known.weights[name]) for name in names)
    again = network_of(tiny)
    again.load_state_dict(found.weights)
    recalibrate(again, plain.epoch(1), plan().precision, MicroBatches(), whole)
    for name, value in again.state_dict().items():
        torch.testing.assert_close(value, found.weights[name])
