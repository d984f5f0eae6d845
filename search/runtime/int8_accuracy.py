"""The accuracy of a trained candidate in int8: its study's first objective, measured once more."""

from __future__ import annotations

import math
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from torch import Tensor

from search.data.sample import Dataset, Split
from search.errors import UserError
from search.model import int8
from search.model.formats import model_format
from search.records.study import Json
from search.runtime.study_runtime import StudyRuntime
from spaces.candidate import Candidate
from spaces.networks.inference import InferenceNetwork, blank, rebuild

_BATCH = 32


@dataclass(frozen=True, slots=True)
class Quantised:
    """The result of quantising one trial's best weights.

    Attributes:
        value: the first objective of the integer network on the validation data; None if it could not be quantised.
        reason: why there is no value; empty if there is one.
        seconds: the time it all took.
        images: number of training images it was calibrated on.
        file_bytes: size of the integer network's file; 0 if there is none.
    """

    value: float | None
    reason: str
    seconds: float
    images: int
    file_bytes: int = 0

    def to_json(self) -> dict[str, Json]:
        """Return it as stored in a trial's record."""
        return {
            "value": self.value,
            "reason": self.reason,
            "seconds": round(self.seconds, 3),
            "images": self.images,
            "file_bytes": self.file_bytes,
        }


def check(runtime: StudyRuntime) -> None:
    """Check that the study's quantisation has what it needs.

    Raises:
        UserError: packages are not installed.
    """
    if runtime.spec.goals.quantised is not None:
        try:
            model_format(int8.FORMAT)
        except UserError as error:
            raise UserError(f"quantised: {error}") from error


def measure(runtime: StudyRuntime, candidate: Candidate, state: Mapping[str, Tensor]) -> Quantised | None:
    """Return the int8 result of ``candidate`` with the weights ``state`` (``Network.original_state``).

    The network is the one that would be exported, calibrated on training images prepared as for validation, and run on
    all validation images, on the CPU. None if the study does not ask for it.
    """
    options = runtime.spec.goals.quantised
    if options is None:
        return None
    begin, own = time.perf_counter(), runtime.of(candidate)
    images = min(options.images, len(own.dataset.of(Split.TRAIN)))
    value, reason, size = None, "", 0
    try:
        with tempfile.TemporaryDirectory(prefix="ftsearch-int8-") as folder:
            path = int8.write(_plain(own, candidate, state), _calibration(own, candidate, images), Path(folder))
            size = path.stat().st_size
            value = _value(own, candidate, int8.Int8Session(path))
    except int8.NotQuantisableError as error:
        reason = str(error)
    if value is not None and not math.isfinite(value):
        value, reason = None, f"{own.spec.objective} is {value}"
    return Quantised(value, reason, time.perf_counter() - begin, images, size)


def _plain(own: StudyRuntime, candidate: Candidate, state: Mapping[str, Tensor]) -> InferenceNetwork:
    """Return the network as it would be exported: updates merged, unused units left out."""
    head = own.task.head_for(len(own.dataset.classes))
    return rebuild(candidate, blank(candidate, own.input_size), head, state, own.task.name)


def _calibration(own: StudyRuntime, candidate: Candidate, count: int) -> list[Tensor]:
    """Return batches of ``count`` training images, drawn with the study's seed and prepared as for validation."""
    samples, seed = own.dataset.of(Split.TRAIN), own.spec.search.seed
    drawn = torch.randperm(len(samples), generator=torch.Generator().manual_seed(seed))[:count].sort().values
    chosen = tuple(replace(samples[index], split=Split.VAL) for index in drawn.tolist())
    known = own.dataset
    dataset = Dataset(known.name, known.classes, chosen, f"{known.fingerprint}-{count}-of-train-{seed}")
    return [images for images, _ in own.validation_loader(candidate, dataset).epoch(1)]


def _value(own: StudyRuntime, candidate: Candidate, network: int8.Int8Session) -> float:
    """Return the study's first objective of ``network`` on the validation data."""
    cpu = torch.device("cpu")
    evaluator = own.task.evaluator(own.dataset.classes, cpu)
    for images, targets in own.batches(Split.VAL, candidate=candidate).epoch(1):
        evaluator.update(network(images), targets.to(cpu))
    return float(evaluator.compute()[own.spec.objective])
