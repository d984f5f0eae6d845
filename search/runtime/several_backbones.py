"""Studies that choose among several backbones: a runtime for each, opened when a candidate first asks for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field, fields, replace
from typing import NoReturn

from search.data.loader import Loader
from search.data.sample import Split
from search.errors import StudyBackboneError, UserError
from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.study_spec import StudySpec
from search.training.checkpoint import Checkpoint, Rolling
from search.training.fit import TrainingPlan, TrainingResult
from spaces.candidate import Candidate
from spaces.errors import SpaceError
from spaces.networks import build as building
from spaces.networks.several_backbones import Several


def _unopened(name: str) -> NoReturn:
    raise StudyBackboneError(f"no runtime of {name}")


@dataclass(frozen=True, slots=True)
class StudyRuntimes(StudyRuntime):
    """A study of several backbones: everything about a candidate is delegated to the runtime of its backbone.

    What does not depend on a candidate (``pretrained``, ``task``, ``input_size``) is the first backbone's.

    Attributes:
        named: returns the runtime of a backbone, the same one each time.
    """

    named: Callable[[str], StudyRuntime] = field(default=_unopened, repr=False)

    def of(self, candidate: Candidate) -> StudyRuntime:
        self.space.values(candidate)  # refuses a backbone that the study does not have
        return replace(self.named(candidate.structure.backbone), progress=self.progress)

    def build(self, candidate: Candidate, seed: int) -> building.Network:
        return self.of(candidate).build(candidate, seed)

    def epochs(self, candidate: Candidate) -> int:
        return self.of(candidate).epochs(candidate)

    def batches(self, split: Split, seed: int = 0, candidate: Candidate | None = None) -> Loader:
        if candidate is None:
            return StudyRuntime.batches(self, split, seed)
        return self.of(candidate).batches(split, seed, candidate)

    def plan(
        self,
        candidate: Candidate,
        seed: int,
        on_epoch: Callable[[EpochRecord], Verdict],
        leave: Callable[[], bool],
        folder: Rolling | None,
        network: building.Network | None = None,
    ) -> TrainingPlan:
        return self.of(candidate).plan(candidate, seed, on_epoch, leave, folder, network)

    def measure(self, candidate: Candidate, steps: int = 3) -> float:
        return self.of(candidate).measure(candidate, steps)

    def checkpoint(self, candidate: Candidate, network: building.Network, result: TrainingResult) -> Checkpoint:
        return self.of(candidate).checkpoint(candidate, network, result)


def open_runtimes(spec: StudySpec, device: str = "auto") -> StudyRuntime:
    """Return the runtime of a study of one or several backbones; only the first one's network is opened.

    Raises:
        UserError, SpaceError: as ``open_runtime``. A backbone that cannot be loaded, or that a range of the study file
            does not fit, is reported when its first candidate is drawn (StudyBackboneError, which ends the run).
    """
    if not spec.backbones:
        return open_runtime(spec, device)
    first = open_runtime(_single(spec, spec.backbones[0]), device)
    opened = {spec.backbones[0]: first}

    def named(name: str) -> StudyRuntime:
        if name not in opened:
            opened[name] = _beside(first, spec, name, device)
        return opened[name]

    space = Several(spec.backbones, lambda name: named(name).space)
    same = {one.name: getattr(first, one.name) for one in fields(first)}
    return StudyRuntimes(**{**same, "spec": spec, "space": space}, named=named)


def each(runtime: StudyRuntime) -> tuple[StudyRuntime, ...]:
    """Return the runtime of every backbone of a study, opening those that are not open yet."""
    if not isinstance(runtime, StudyRuntimes):
        return (runtime,)
    return tuple(runtime.named(name) for name in runtime.spec.backbones)


def _single(spec: StudySpec, name: str) -> StudySpec:
    return replace(spec, backbone=name, backbones=())


def _beside(first: StudyRuntime, spec: StudySpec, name: str, device: str) -> StudyRuntime:
    try:
        runtime = open_runtime(_single(spec, name), device, first.dataset)
    except (UserError, SpaceError) as error:
        raise StudyBackboneError(f"backbone {name}: {error}; leave it out of the list, or fix that") from error
    same = runtime.pretrained.preprocessing == first.pretrained.preprocessing
    return replace(runtime, store=first.store, decoded=first.decoded if same else runtime.decoded)
