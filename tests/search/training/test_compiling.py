"""Compiling is tried only where it may pay, kept only where it does, and never ends a trial."""

from __future__ import annotations

from dataclasses import dataclass

import pytest
import torch
from torch import Tensor, nn

from search.training import compiling
from search.training.compiling import Compiled, Mode
from search.training.epoch import whole

CPU = torch.device("cpu")


@dataclass
class Clock:
    """Every training step takes ``plain`` seconds before compiling and ``compiled`` after it."""

    plain: float
    compiled: float
    warm_up: float = 1.0
    now: float = 0.0
    made: int = 0
    used: int = 0

    def compile(self, forward: object, **_: object) -> object:
        self.made += 1

        def run(network: nn.Module, inputs: Tensor) -> Tensor:
            self.now += self.compiled + (self.warm_up if self.used == 0 else 0)
            self.used += 1
            return whole(network, inputs)

        return run

    def eager(self, network: nn.Module, inputs: Tensor) -> Tensor:
        self.now += self.plain
        return whole(network, inputs)


@pytest.fixture(autouse=True)
def _no_experience(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(compiling, "_experience", {})


def ran(clock: Clock, steps: int, monkeypatch: pytest.MonkeyPatch, mode: Mode = "auto") -> Compiled:
    monkeypatch.setattr(torch, "compile", clock.compile)
    found = Compiled(clock.eager, steps, mode, "tiny", CPU, clock=lambda: clock.now)
    network, inputs = nn.Linear(3, 2), torch.zeros(4, 3)
    for _ in range(steps):
        found(network, inputs)
    return found


def test_a_short_trial_is_not_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(plain=1.0, compiled=0.1)
    facts = ran(clock, 100, monkeypatch).record()["compile"]
    assert clock.made == 0
    assert facts["used"] is False
    assert "would gain" in facts["why"]


def test_a_long_trial_is_compiled_and_stays_so(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(plain=1.0, compiled=0.5)
    facts = ran(clock, 1000, monkeypatch).record()["compile"]
    assert clock.made == 1
    assert clock.used > 980
    assert facts["used"] is True
    assert facts["plain_step_s"] == pytest.approx(1.0)
    assert facts["compiled_step_s"] == pytest.approx(0.5)


def test_what_is_not_quicker_compiled_goes_on_as_it_was(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(plain=1.0, compiled=1.1)
    facts = ran(clock, 1000, monkeypatch).record()["compile"]
    assert facts["used"] is False
    assert clock.used < 12
    again = Clock(plain=1.0, compiled=1.1)
    ran(again, 1000, monkeypatch)
    assert again.made == 0  # it has been tried on this machine


def test_a_measured_gain_lets_shorter_trials_be_compiled(monkeypatch: pytest.MonkeyPatch) -> None:
    ran(Clock(plain=1.0, compiled=0.5), 1000, monkeypatch)
    short = Clock(plain=1.0, compiled=0.5)
    ran(short, 100, monkeypatch)
    assert short.made == 1


def test_always_compiles_at_the_first_step(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(plain=1.0, compiled=2.0)
    assert ran(clock, 20, monkeypatch, "always").record()["compile"]["used"] is True
    assert clock.used == 20


def test_what_cannot_be_compiled_is_trained_as_it_is(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object) -> Tensor:
        raise RuntimeError("no C++ compiler found\nmore")

    monkeypatch.setattr(torch, "compile", lambda *_, **__: broken)
    found = Compiled(whole, 10, "always", "tiny", CPU)
    outputs = found(nn.Linear(3, 2), torch.zeros(4, 3))
    assert outputs.shape == (4, 2)
    assert found.record()["compile"]["why"] == "cannot be compiled: no C++ compiler found"


def test_compiled_steps_compute_the_same() -> None:
    torch.manual_seed(0)
    network, inputs = nn.Sequential(nn.Linear(3, 8), nn.ReLU(), nn.Linear(8, 2)), torch.randn(4, 3)
    found = Compiled(whole, 10, "always", "tiny", CPU, backend="aot_eager")
    gradients = []
    for forward in (whole, found):
        network.zero_grad()
        forward(network, inputs).square().sum().backward()
        gradients.append(network[0].weight.grad.clone())
    torch.testing.assert_close(*gradients)
    network.eval()
    with torch.no_grad():
        torch.testing.assert_close(found(network, inputs), network(inputs))
    network.train()
    torch.testing.assert_close(found(network, inputs[:1]), network(inputs[:1]))  # the smaller last batch
