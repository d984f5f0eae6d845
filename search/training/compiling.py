"""``torch.compile`` for a trial's training steps, if it pays off its warm-up within that trial.

Compiling a network takes from seconds to minutes, and a search trains each network only briefly. So the first steps
are timed uncompiled; if the rest of the trial is long enough for the gain that compiling brought on this machine before
(a cautious guess the first time), the step is compiled, timed again, and kept compiled only if that is faster.
 On CUDA the ``graphs`` mode records CUDA graphs as well (torch.compile's ``reduce-overhead``).
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Literal

import torch
from torch import nn

from search.records.study import Json
from search.training.epoch import Forward, Inputs
from search.training.out_of_memory import is_out_of_memory
from spaces.errors import first_line

logger = logging.getLogger(__name__)
Mode = Literal["off", "auto", "graphs", "always"]
_TIMED = 4
"""Number of steps whose median is taken, after one warm-up step."""
_WARM_UP = 3
"""Number of compiled steps that are not timed: they compile forward and backward, and record graphs."""


@dataclass(slots=True)
class Experience:
    """The gain from compiling on this machine so far; initial values are a guess."""

    speedup: float = 1.2
    warm_up_s: float = 60.0


_experience: dict[str, Experience] = {}


@dataclass(slots=True)
class Compiled:
    """A forward pass that compiles itself once that is expected to pay off; used like the original.

    Attributes:
        forward: the uncompiled pass.
        steps: number of training steps of the whole trial.
        mode: ``auto`` decides by measurement, ``graphs`` too, with CUDA graphs; ``always`` compiles at once.
        backbone: networks of the same backbone share what was learnt about compiling.
        backend: of torch.compile.
        clock: gives seconds.
    """

    forward: Forward
    steps: int
    mode: Mode
    backbone: str
    device: torch.device
    backend: str = "inductor"
    clock: Callable[[], float] = time.perf_counter
    facts: dict[str, Json] = field(default_factory=dict)
    _run: Forward | None = None
    _shape: tuple[int, ...] = ()
    _done: int = 0
    _moments: list[float] = field(default_factory=list)
    _state: Literal["plain", "warming", "trying", "settled"] = "plain"

    def __call__(self, network: nn.Module, inputs: Inputs) -> Any:
        if not network.training or not torch.is_grad_enabled():
            self._moments.clear()  # a validation pass came between two steps
            return self.forward(network, inputs)
        self._shape = self._shape or tuple(inputs.shape)
        if tuple(inputs.shape) != self._shape:  # a smaller last batch would be compiled separately
            self._moments.clear()
            return self.forward(network, inputs)
        self._done += 1
        if self._state != "settled":
            self._advance()
        if self._run is None:
            return self.forward(network, inputs)
        try:
            return self._run(network, inputs)
        except Exception as error:
            if self._state != "warming" or is_out_of_memory(error):
                raise
            return self._give_up(error)(network, inputs)

    def _give_up(self, error: Exception) -> Forward:
        reason = first_line(error)
        logger.warning("torch.compile: going on without it: %s", reason)
        self.facts |= {"used": False, "why": f"cannot be compiled: {reason}"}
        self._run, self._state = None, "settled"
        return self.forward

    def record(self) -> Mapping[str, Json]:
        """Return the outcome, for the trial's record."""
        return {"compile": {"mode": self.mode, **self.facts}} if self.facts else {}

    def _advance(self) -> None:
        self._moments.append(self._now())
        steps = len(self._moments) - 1
        if self._state == "plain" and (self.mode == "always" or steps > _TIMED):
            self._decide(median(self._spans()) if steps > _TIMED else None)
        elif self._state == "warming" and steps >= _WARM_UP:
            self.facts["warm_up_s"] = round(self._moments[-1] - self._moments[0], 4)
            self._state = "trying" if self.mode != "always" else "settled"
            self._moments = self._moments[-1:]
        elif self._state == "trying" and steps > _TIMED:
            self._judge(median(self._spans()))

    def _spans(self) -> list[float]:
        return [after - before for before, after in zip(self._moments[1:], self._moments[2:], strict=False)]

    def _now(self) -> float:
        if self.device.type == "cuda":
            torch.cuda.synchronize(self.device)
        return self.clock()

    def _decide(self, plain: float | None) -> None:
        known = _experience.get(self._key, Experience())
        left = self.steps - self._done
        if plain is not None:
            self.facts["plain_step_s"] = round(plain, 5)
            gain = left * plain * (1 - 1 / known.speedup) if known.speedup > 1 else 0.0
            if gain <= known.warm_up_s:
                self.facts["used"] = False
                self.facts["why"] = f"would gain {gain:.1f} s of {known.warm_up_s:.1f} s that it takes"
                self._state = "settled"
                return
        options: dict[str, Any] = (
            {"mode": "reduce-overhead"} if self.mode == "graphs" and self.device.type == "cuda" else {}
        )
        self._run = torch.compile(self.forward, dynamic=False, backend=self.backend, **options)
        self.facts["used"] = True
        self._state = "warming"
        self._moments = self._moments[-1:]

    def _judge(self, compiled: float) -> None:
        plain = float(self.facts["plain_step_s"])
        self.facts["compiled_step_s"] = round(compiled, 5)
        _experience[self._key] = Experience(plain / compiled, float(self.facts["warm_up_s"]))
        if compiled >= plain:
            self._run = None
            self.facts |= {"used": False, "why": "a compiled step is not quicker"}
        logger.info("torch.compile: a step took %.4f s, compiled %.4f s", plain, compiled)
        self._state = "settled"

    @property
    def _key(self) -> str:
        return f"{self.backbone} {self.device} {self.mode}"
