"""Heads that are trained beside each other come out as if each had been trained alone."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from functools import partial

import pytest
import torch
from torch import Tensor

from search.errors import LeaseLostError, TrialError
from search.records.study import EpochRecord, Verdict
from search.tasks.classification import task
from search.training.fit import TrainingPlan, TrainingResult, fit
from search.training.heads import Behind, fit_heads
from search.training.optimizers import optimize
from search.training.precision import choose
from search.training.stacking import StackedHead
from spaces import heads
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate
from spaces.decisions.optimizer import Optimizer
from spaces.decisions.penalty import Penalty
from spaces.heads import HeadChoice
from spaces.networks import build
from spaces.networks.space import Space

CLASSES = ("a", "b", "c")
EPOCHS = 4
PLAIN = {"norm": False, "activation": "relu", "dropout": 0.0}
SGD, ADAMW = Optimizer("sgd", 0.05, schedule="cosine"), Optimizer("adamw", 0.01, schedule="constant", warmup=0.3)
HEADS = {
    "linear": ({"pooling": "avg", "widths": []}, 0.0, SGD, Penalty()),
    "linear, faster": ({"pooling": "avg", "widths": []}, 0.0, replace(SGD, lr_head=0.2), Penalty("l2", 0.01)),
    "linear, dropout": ({"pooling": "avg", "widths": []}, 0.5, SGD, Penalty("l1", 0.001)),
    "max pooling": ({"pooling": "max", "widths": []}, 0.0, SGD, Penalty("l2_sp", 0.1)),
    "gem": ({"pooling": "gem", "widths": []}, 0.3, ADAMW, Penalty()),
    "hidden": ({"pooling": "avg", "widths": [8]}, 0.0, ADAMW, Penalty("decay", 0.1)),
    "hidden, dropout": ({"pooling": "avg", "widths": [8]}, 0.4, ADAMW, Penalty("l2", 0.01, True)),
    "hidden, other rate": ({"pooling": "avg", "widths": [8]}, 0.2, replace(ADAMW, lr_head=0.003), Penalty("l1", 0.01)),
    "deep with norm": ({"pooling": "avgmax", "widths": [8, 4], "norm": True}, 0.2, ADAMW, Penalty("decay", 0.1, True)),
    "decay under SGD": ({"pooling": "avg", "widths": [], "norm": True}, 0.0, SGD, Penalty("decay", 0.01)),
}


class Toy:
    """Images whose class is the channel that is brightest."""

    def __init__(self, seed: int) -> None:
        generator = torch.Generator().manual_seed(seed)
        self.targets = torch.arange(26) % 3
        self.images = torch.randn(26, 3, 16, 16, generator=generator) * 0.3
        self.images[torch.arange(26), self.targets] += 1.0

    def epoch(self, number: int) -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(26, generator=torch.Generator().manual_seed(number))
        return [(self.images[part], self.targets[part]) for part in order.split(8)]


def network_of(
    tiny: Pretrained, choice: dict[str, object], dropout: float, seed: int, freeze: int = 4
) -> build.Network:
    space = Space(tiny, {})
    plain = space.baseline()
    choices = {
        **plain.structure.choices,
        "freeze": 4,
        "head": PLAIN | choice,
        "dropout": {"head": dropout, "depth": 0.0},
    }
    candidate = Candidate(replace(plain.structure, choices=choices), plain.recipe)

    def head(features: heads.Features, choice: HeadChoice, _: object) -> torch.nn.Module:
        return heads.vector_head(features, 3, choice)

    return build.build(space.apply(candidate), space.values(candidate), head, seed)


def plan(recipe: Optimizer, penalty: Penalty, seed: int) -> TrainingPlan:
    return TrainingPlan(
        task=task,
        classes=CLASSES,
        train=Toy(0),
        val=Toy(1),
        epochs=EPOCHS,
        objective="accuracy",
        maximize=True,
        seed=seed,
        precision=choose(torch.device("cpu"), "float32"),
        optimize=lambda network, steps: optimize(network, recipe, penalty, steps),  # type: ignore[arg-type]
        steps_per_epoch=4,
        penalties=partial(build.penalties, penalty=penalty),  # type: ignore[arg-type]
    )


def members(tiny: Pretrained, names: Iterable[str] = HEADS) -> list[StackedHead]:
    found = []
    for seed, name in enumerate(HEADS):
        choice, dropout, recipe, penalty = HEADS[name]
        if name in names:
            network = network_of(tiny, choice, dropout, seed)
            found.append(StackedHead(network, plan(recipe, penalty, seed), recipe, penalty))
    return found


def together(found: list[StackedHead]) -> list[object]:
    first = found[0]
    behind = [Behind(epochs, first.network, first.plan.precision) for epochs in (first.plan.train, first.plan.val)]
    return list(fit_heads(found, *behind))


def assert_same(own: object, alone: TrainingResult) -> None:
    assert isinstance(own, TrainingResult)
    assert (own.verdict, own.best_epoch) == (alone.verdict, alone.best_epoch)
    for mine, other in zip(own.epochs, alone.epochs, strict=True):
        assert mine.train_loss == pytest.approx(other.train_loss, rel=1e-5)
        assert dict(mine.loss_terms) == pytest.approx(dict(other.loss_terms), rel=1e-5)
        assert dict(mine.metrics) == pytest.approx(dict(other.metrics), rel=1e-5)
        assert dict(mine.learning_rates) == pytest.approx(dict(other.learning_rates))
    assert own.evaluation == alone.evaluation
    assert own.weights.keys() == alone.weights.keys()
    for name, value in alone.weights.items():
        torch.testing.assert_close(own.weights[name], value, rtol=1e-4, atol=1e-6)


def test_trained_together_heads_are_as_trained_alone(tiny: Pretrained) -> None:
    alone = [fit(member.network, member.plan) for member in members(tiny)]
    for own, other in zip(together(members(tiny)), alone, strict=True):
        assert_same(own, other)


def test_a_pruned_head_leaves_and_the_others_go_on_undisturbed(tiny: Pretrained) -> None:
    alone = [fit(member.network, member.plan) for member in members(tiny)]
    found = members(tiny)

    def until(epoch: int, record: EpochRecord) -> Verdict:
        return Verdict.PRUNE if record.epoch == epoch else Verdict.CONTINUE

    for place, epoch in ((0, 1), (5, 2), (6, 3)):
        pruned = replace(found[place].plan, on_epoch=partial(until, epoch))
        found[place] = replace(found[place], plan=pruned)
    outcomes = together(found)
    for place, epoch in ((0, 1), (5, 2), (6, 3)):
        own = outcomes[place]
        assert isinstance(own, TrainingResult)
        assert (own.verdict, len(own.epochs)) == (Verdict.PRUNE, epoch)
        expected = [record.train_loss for record in alone[place].epochs[:epoch]]
        assert [record.train_loss for record in own.epochs] == pytest.approx(expected)
    for place in set(range(len(found))) - {0, 5, 6}:
        assert_same(outcomes[place], alone[place])


def test_a_head_whose_loss_is_not_a_number_fails_alone(tiny: Pretrained) -> None:
    names = ("linear", "linear, faster")
    alone = fit(members(tiny, names)[0].network, members(tiny, names)[0].plan)
    wild = members(tiny, names)
    wild[1] = replace(wild[1], recipe=replace(SGD, lr_head=1e30), penalty=Penalty("l2", 1.0))
    first, second = together(wild)
    assert isinstance(second, TrialError)
    assert second.kind == "nan"
    assert_same(first, alone)


def test_a_head_whose_lease_was_lost_leaves_the_others(tiny: Pretrained) -> None:
    def lost(record: EpochRecord) -> Verdict:
        raise LeaseLostError("taken over")

    found = members(tiny, ("linear", "linear, dropout"))
    found[1] = replace(found[1], plan=replace(found[1].plan, on_epoch=lost))
    first, second = together(found)
    assert isinstance(first, TrainingResult)
    assert len(first.epochs) == EPOCHS
    assert isinstance(second, LeaseLostError)


def test_told_to_leave_all_are_paused_with_the_epochs_they_have(tiny: Pretrained) -> None:
    steps = iter(range(100))
    found = members(tiny, ("linear", "hidden"))
    found[0] = replace(found[0], plan=replace(found[0].plan, leave=lambda: next(steps) >= 6))
    for own in together(found):
        assert isinstance(own, TrainingResult)
        assert (own.verdict, len(own.epochs)) == (Verdict.PAUSE, 1)


def test_the_seconds_of_all_add_up_to_what_the_device_was_used(tiny: Pretrained) -> None:
    (first, second) = together(members(tiny, ("linear", "hidden")))
    assert isinstance(first, TrainingResult)
    assert isinstance(second, TrainingResult)
    assert [record.seconds for record in first.epochs] == [record.seconds for record in second.epochs]


def test_the_backbone_runs_once_for_all(tiny: Pretrained) -> None:
    found = members(tiny)
    calls = 0

    def count(*_: object) -> None:
        nonlocal calls
        calls += 1

    handle = found[0].network.units[0].register_forward_hook(count)
    together(found)
    handle.remove()
    assert calls == EPOCHS * (4 + 4)  # batches of training and of validation


def test_a_head_that_no_longer_improves_ends_as_it_would_alone(tiny: Pretrained) -> None:
    def patient() -> list[StackedHead]:
        return [replace(one, plan=replace(one.plan, patience=1)) for one in members(tiny)]

    alone = [fit(member.network, member.plan) for member in patient()]
    assert len({len(outcome.epochs) for outcome in alone}) > 1
    for own, other in zip(together(patient()), alone, strict=True):
        assert_same(own, other)
        assert own.reason == other.reason  # type: ignore[attr-defined]
