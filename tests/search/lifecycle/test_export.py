from __future__ import annotations

import shutil
import sqlite3
from pathlib import Path

import pytest
import torch
from PIL import Image

from search.api import load_model, load_study, open_study, run_study
from search.data.sample import Split
from search.errors import ConflictError, NotFoundError, RunError, UserError
from search.lifecycle.export import export_study
from search.model import folder as model_folder
from search.model.formats import model_formats
from search.model.predict import outputs_of, predict

FORMATS = tuple(model_formats())


@pytest.fixture(scope="module")
def ended(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder in which a study of two trials has ended."""
    root = tmp_path_factory.mktemp("ended")
    for kind, name in enumerate(("red", "green", "blue")):
        (root / "data" / name).mkdir(parents=True)
        for number in range(12):
            pixels = torch.randint(0, 80, (16, 20, 3), generator=torch.Generator().manual_seed(100 * kind + number))
            pixels[..., kind] += 150
            Image.fromarray(pixels.to(torch.uint8).numpy()).save(root / "data" / name / f"{number}.png")
    (root / "study.yaml").write_text(
        "name: colours\ndata: {path: data, val_share: 0.25}\nbackbone: squeezenet1_1\nweights: none\ninput_size: 32\n"
        "space: {tail: {high: 3}, head: {}, resolution: {scales: [1.0, 1.5]}}\nkeep_checkpoints: 1\n"
        "training: {epochs: 2, batch_size: 9, augmentation: none, precision: float32}\n"
        "search: {trials: 2, pruner: none}\n"
    )
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(root)
        patch.setenv("FTSEARCH_CACHE", str(root / "cache"))
        run_study("study.yaml", report=False, final=False)
    return root


@pytest.fixture
def here(ended: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    shutil.copytree(ended, tmp_path / "here")
    monkeypatch.chdir(tmp_path / "here")
    monkeypatch.setenv("FTSEARCH_CACHE", str(ended / "cache"))
    return tmp_path / "here"


def test_every_format_predicts_what_the_search_measured(here: Path) -> None:
    done = export_study("colours", formats=FORMATS, fold_bn=True)
    best = load_study("colours").best
    assert best is not None
    assert done.folder == Path("runs/colours/model")
    assert done.notes == ("no batch norm directly follows a layer: nothing was folded",)
    assert done.facts.trial == best.number
    assert done.facts.metrics["accuracy"] == pytest.approx(best.value, abs=1e-6)
    assert {check.format for check in done.facts.checks} == set(FORMATS)
    assert all(check.agreeing == check.images == 9 for check in done.facts.checks)
    samples = open_study("study.yaml").dataset.of(Split.VAL)
    for name in FORMATS:
        model = load_model(done.folder, format=name, trust=True)
        predicted = list(predict(model, [sample.input.path for sample in samples], 1))
        hits = sum(
            one.answers[0].label == model.facts.classes[sample.target]
            for one, sample in zip(predicted, samples, strict=True)
        )
        assert hits / len(samples) == pytest.approx(best.value, abs=1e-6), name


def test_the_loaded_model_is_a_plain_module_that_can_learn(here: Path) -> None:
    export_study("colours", output="out")
    model = load_model("out")
    assert isinstance(model.network, torch.nn.Module)
    assert not model.network.training
    image = Image.open(next(here.glob("data/red/*.png"))).convert("RGB")
    loss = model.network(model.transform(image)[None]).square().sum()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.network.parameters())


def test_a_temperature_is_kept_and_used(here: Path) -> None:
    image = next(here.glob("data/red/*.png"))
    (plain,) = predict(load_model(export_study("colours", output="out").folder), [image], 3)
    done = export_study("colours", output="out", calibrate=lambda logits, labels: 2.0 if len(logits) == 9 else 0.0)
    assert done.facts.temperature == 2.0
    model = load_model("out")
    (cooled,) = predict(model, [image], 3)
    logits = outputs_of(model.network, model.transform(Image.open(image).convert("RGB"))[None])[0]
    expected = (logits / 2).softmax(0).sort(descending=True).values
    assert [answer.score for answer in cooled.answers] == pytest.approx(expected.tolist(), abs=1e-6)
    assert [answer.label for answer in cooled.answers] == [answer.label for answer in plain.answers]


def test_a_file_that_computes_something_else_is_never_handed_on(here: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    export_study("colours", output="out")
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    known = model_formats()["pt2"]
    monkeypatch.setattr(type(known), "open", lambda self, path, rebuild: torch.nn.Sequential(_Zeros()))
    with pytest.raises(RunError, match=r"model\.pt2 does not compute what the network does"):
        export_study("colours", output="out", formats=("pt2",))
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before
    assert not list(here.glob(".out*"))


@pytest.mark.parametrize(("name", "step"), [("pt2", "write"), ("safetensors", "open"), ("onnx", "forward")])
def test_each_format_stands_alone(here: Path, monkeypatch: pytest.MonkeyPatch, name: str, step: str) -> None:
    known = model_formats()[name]

    def write(_: object, network: object, example: object, path: Path, *more: object) -> None:
        path.with_name(f"{path.name}.data").write_bytes(b"half of it")
        path.write_bytes(b"the other half")
        raise RunError(f"this network cannot be written as {name}: {path} refuses")

    def open_(_: object, path: Path, rebuild: object) -> torch.nn.Module:
        if step == "open":
            raise UserError(f"cannot read {path}: odd")
        return _Refusing(path)

    monkeypatch.setattr(type(known), "write" if step == "write" else "open", write if step == "write" else open_)
    done = export_study("colours", output="out", formats=FORMATS)
    others = set(FORMATS) - {name}
    assert set(done.facts.files) == {check.format for check in done.facts.checks} == others
    assert list(done.failed) == [name]
    assert known.file_name in done.failed[name]
    assert ".out" not in done.failed[name]  # the folder that it was written in is gone
    assert not list(Path("out").glob(f"{known.file_name}*"))
    for other in others:
        assert load_model("out", format=other, trust=True).facts.files == done.facts.files
    before = {path.name: path.read_bytes() for path in Path("out").iterdir()}
    with pytest.raises(RunError, match=known.file_name.replace(".", r"\.")):
        export_study("colours", output="out", formats=(name,))
    assert {path.name: path.read_bytes() for path in Path("out").iterdir()} == before


class _Refusing(torch.nn.Module):
    def __init__(self, path: Path) -> None:
        super().__init__()
        self._path = path

    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        raise UserError(f"cannot run {self._path}: no such operator")


class _Zeros(torch.nn.Module):
    def forward(self, inputs: torch.Tensor) -> torch.Tensor:
        return torch.zeros(len(inputs), 3)


def test_a_trial_without_weights_is_refused_with_those_that_have_some(here: Path) -> None:
    study = load_study("colours")
    assert study.best is not None
    other = 1 - study.best.number
    with pytest.raises(UserError, match=rf"trial {other} .* has no weights.*trials with weights: {study.best.number}"):
        export_study("colours", candidate=str(other))
    with pytest.raises(NotFoundError, match="has no trial 99"):
        export_study("colours", candidate="99")
    with pytest.raises(UserError, match="baseline, refit or the number of a trial of 'colours', got 'worst'"):
        export_study("colours", candidate="worst")


def test_where_the_winner_keeps_no_weights_the_best_that_does_is_exported(here: Path) -> None:
    study = load_study("colours")
    assert study.best is not None
    other = 1 - study.best.number
    with sqlite3.connect("runs/ftsearch.db") as link:
        link.execute("UPDATE ft_trial SET value = 2, extras = json_set(extras, '$.calibrated_loss', 0) "
                     f"WHERE number = {other}")  # fmt: skip
    link.close()
    done = export_study("colours", output="out")
    assert done.facts.trial == study.best.number
    assert f"no weights of the winner, trial {other}, are kept: this is trial {study.best.number}" in done.notes[-1]
    assert "ftsearch refit colours" in done.notes[-1]


def test_weights_that_were_removed_or_damaged_are_named(here: Path) -> None:
    (kept,) = here.glob("runs/colours/trial-*.safetensors")
    content = kept.read_bytes()
    kept.write_bytes(content[:-8] + bytes(8))
    with pytest.raises(
        UserError, match=r"weights of trial \d of 'colours' are gone: .* is damaged.*; name another with --candidate"
    ):
        export_study("colours")
    kept.unlink()
    with pytest.raises(UserError, match=r"weights of trial \d of 'colours' are gone: .*No such file"):
        export_study("colours")
    assert not (here / "runs/colours/model").exists()


def test_other_data_is_refused_and_moved_data_is_found(here: Path, ended: Path) -> None:
    (ended / "data").rename(ended / "away")
    try:
        with pytest.raises(UserError, match="with --data"):
            export_study("colours")
        assert export_study("colours", data=Path("data")).facts.images == 9
        next(here.glob("data/red/*.png")).unlink()
        with pytest.raises(ConflictError, match="the data is not what 'colours' was searched on"):
            export_study("colours", data=Path("data"))
    finally:
        (ended / "away").rename(ended / "data")


def test_an_unknown_format_is_refused_before_anything_is_read(here: Path) -> None:
    with pytest.raises(UserError, match="unknown model format 'tflite'"):
        export_study("no such study", formats=("onnx", "tflite"))
    with pytest.raises(UserError, match="no format"):
        export_study("colours", formats=())


def test_a_model_is_opened_in_no_other_format_than_it_has(here: Path) -> None:
    folder = export_study("colours", formats=("safetensors",)).folder
    with pytest.raises(UserError, match=r"not exported as 'onnx'; it has safetensors"):
        load_model(folder, format="onnx")
    with pytest.raises(UserError, match=r"unknown format 'tflite'"):
        load_model(folder, format="tflite")
    with pytest.raises(UserError, match="device"):
        load_model(folder, device="cuda:99")


def test_the_facts_say_where_the_model_comes_from(here: Path) -> None:
    facts = model_folder.read(export_study("colours").folder)
    assert facts.weights.name == "none"
    assert facts.base_size == (32, 32)
    assert facts.classes == ("blue", "green", "red")
    assert facts.dataset_fingerprint == load_study("colours").dataset.fingerprint
    assert facts.temperature == 1.0


def test_a_search_in_half_precision_is_reported_from_the_exported_model(
    here: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert export_study("colours").notes == ()
    monkeypatch.setattr("search.lifecycle.export._SAME", -1.0)
    (loss,) = [note for note in export_study("colours").notes if note.startswith("loss is ")]
    assert "may compute in half precision" in loss
