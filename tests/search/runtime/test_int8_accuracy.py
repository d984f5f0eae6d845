from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from search.api import run_study
from search.data.sample import Split
from search.errors import UserError
from search.model import int8
from search.model.formats import onnx
from search.records.study import TrialState
from search.runtime import int8_accuracy
from search.runtime.several_backbones import open_runtimes
from search.runtime.study_runtime import StudyRuntime
from search.spec.load import load_spec
from spaces.candidate import Candidate


def opened(study_file: Path, text: str = "quantised: {images: 6}\n") -> StudyRuntime:
    study_file.write_text(study_file.read_text() + text)
    return open_runtimes(load_spec(study_file), "cpu")


def weights(runtime: StudyRuntime, candidate: Candidate) -> dict[str, torch.Tensor]:
    return runtime.build(candidate, 0).original_state()


def test_a_study_that_does_not_ask_pays_nothing(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime = opened(study_file, "")
    monkeypatch.setattr(int8, "write", lambda *_: pytest.fail("it was quantised"))
    int8_accuracy.check(runtime)
    assert int8_accuracy.measure(runtime, runtime.space.baseline(), {}) is None


def test_the_value_is_that_of_the_integer_network_on_the_validation_images(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = opened(study_file)
    candidate = runtime.space.baseline()
    state = weights(runtime, candidate)
    seen: list[torch.Tensor] = []
    answer = torch.tensor([[0.0, 1.0, 0.0]])  # always the second class

    def write(network: object, batches: object, folder: Path) -> Path:
        path = folder / "int8.onnx"
        path.write_bytes(b"integers")
        return path

    def run(images: torch.Tensor) -> torch.Tensor:
        seen.append(images)
        return answer.expand(len(images), -1)

    monkeypatch.setattr(int8, "write", write)
    monkeypatch.setattr(int8, "Int8Session", lambda _: run)
    found = int8_accuracy.measure(runtime, candidate, state)
    assert found is not None
    samples = runtime.dataset.of(Split.VAL)
    assert sum(len(images) for images in seen) == len(samples)
    assert found.value == pytest.approx(sum(sample.target == 1 for sample in samples) / len(samples))
    assert (found.reason, found.images) == ("", 6)
    assert found.seconds > 0
    assert found.file_bytes > 0


def test_it_is_calibrated_on_training_images_as_validation_prepares_them(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = opened(study_file)
    candidate = runtime.space.baseline()
    given: list[list[torch.Tensor]] = []

    def write(network: object, batches: list[torch.Tensor], folder: Path) -> Path:
        given.append(batches)
        raise int8.NotQuantisableError("enough seen")

    monkeypatch.setattr(int8, "write", write)
    for _ in range(2):
        found = int8_accuracy.measure(runtime, candidate, weights(runtime, candidate))
        assert found is not None
        assert (found.value, found.reason) == (None, "enough seen")
    first, again = (torch.cat(batches) for batches in given)
    assert first.shape == (6, 3, 32, 32)
    assert torch.equal(first, again)
    train = runtime.dataset.of(Split.TRAIN)
    # All training images, prepared as validation's are: each calibration image is one of them.
    moved = replace(runtime.dataset, samples=tuple(replace(one, split=Split.VAL) for one in train), fingerprint="x")
    every = torch.cat([batch for batch, _ in replace(runtime, dataset=moved, decoded={}).batches(Split.VAL).epoch(1)])
    assert all(any(torch.equal(image, other) for other in every) for image in first)


def test_a_trained_network_keeps_most_of_its_accuracy(study_file: Path, tmp_path: Path) -> None:
    study_file.write_text(
        study_file.read_text().replace("epochs: 2", "epochs: 6")
        + "objectives: [accuracy, parameters, {quantised: int8}]\n"
    )
    url = f"sqlite:///{tmp_path}/store.db"
    result = run_study(study_file, trials=1, storage=url, folder=tmp_path / "runs", report=False)
    for trial in result.study.trials:
        assert trial.state is TrialState.COMPLETE
        assert trial.value is not None
        assert abs(trial.objectives["quantised"] - trial.value) <= 0.34
        assert not trial.constraints
        known = trial.extras["quantised"]
        assert known["value"] == trial.objectives["quantised"]
        assert 0 < known["seconds"] < trial.seconds
    assert result.study.front


def test_a_structure_that_cannot_be_quantised_is_infeasible_and_the_study_goes_on(
    study_file: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls: list[int] = []

    def write(network: object, batches: object, folder: Path) -> Path:
        calls.append(1)
        if len(calls) == 2:
            raise int8.NotQuantisableError("no kernel for it")
        path = folder / "int8.onnx"
        path.write_bytes(b"integers")
        return path

    monkeypatch.setattr(int8, "write", write)  # writing is tested above; here it is about what becomes of a trial
    monkeypatch.setattr(int8, "Int8Session", lambda _: lambda images: torch.eye(3)[[1] * len(images)])
    study_file.write_text(study_file.read_text() + "quantised: {images: 4}\nkeep_checkpoints: 5\n")
    url = f"sqlite:///{tmp_path}/store.db"
    for sampler in ("tpe", "nsga2"):
        calls.clear()
        text = study_file.read_text().replace("name: colours", f"name: {sampler}")
        own = tmp_path / f"{sampler}.yaml"
        own.write_text(text.replace("seed: 3", f"seed: 3, sampler: {{name: {sampler}, startup: 1, population: 2}}"))
        result = run_study(own, trials=4, storage=url, folder=tmp_path / "runs", report=False)
        odd = result.study.trials[1]
        assert [trial.state for trial in result.study.trials] == [TrialState.COMPLETE] * 4
        assert odd.value is not None
        assert odd.broken == ("int8 quantisation",)
        assert odd.ended == "ran all 2 epochs; no quantised value: no kernel for it"
        assert (odd.checkpoint, odd.extras["quantised"]["reason"]) == (None, "no kernel for it")
        assert odd.number not in {trial.number for trial in (*result.study.ranking, *result.study.front)}


def test_without_its_packages_the_study_is_refused_before_training(
    study_file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(onnx, "_PACKAGES", ("no_such_package",))
    runtime = opened(study_file)
    with pytest.raises(UserError, match=r"quantised: .*pip install ftsearch\[onnx\]"):
        int8_accuracy.check(runtime)


def test_every_backbone_is_quantised_by_its_own_runtime(study_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def write(network: torch.nn.Module, batches: object, folder: Path) -> Path:
        raise int8.NotQuantisableError(f"{sum(parameter.numel() for parameter in network.parameters())} parameters")

    monkeypatch.setattr(int8, "write", write)
    study_file.write_text(study_file.read_text().replace("squeezenet1_1", "[squeezenet1_1, mnasnet0_5]"))
    runtime = opened(study_file)
    other = runtime.of(
        replace(
            runtime.space.baseline(),
            structure=replace(runtime.space.baseline().structure, backbone="torchvision:mnasnet0_5"),
        )
    )
    candidate = other.space.baseline()
    found = int8_accuracy.measure(runtime, candidate, weights(runtime, candidate))
    assert found is not None
    network = other.build(candidate, 0)
    assert found.reason == f"{sum(parameter.numel() for parameter in network.parameters())} parameters"
