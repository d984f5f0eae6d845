from __future__ import annotations

import json
import os
import subprocess
from dataclasses import replace
from pathlib import Path

import pytest

from search.artifacts import partial_files
from search.errors import UserError
from search.model import folder as model_folder
from search.model.folder import Check, ImagePreprocessing, ModelFacts, Origin

FACTS = ModelFacts(
    name="flowers-trial-3",
    study="flowers",
    trial=3,
    task="classification",
    classes=("daisy", "rosé"),
    words="ResNet-18, first 3 of 9 units frozen",
    backbone="torchvision:resnet18",
    weights=Origin(name="IMAGENET1K_V1", sha256="ab" * 32, license="BSD-3-Clause", source="https://example.org/w.pth"),
    frame=ImagePreprocessing(
        size=(96, 128), resize=(110, 146), mean=(0.5, 0.5, 0.5), std=(0.2, 0.2, 0.2), interpolation="bicubic"
    ),
    base_size=(96, 128),
    objective="accuracy",
    metrics={"accuracy": 0.91, "loss": 0.3},
    stored={"accuracy": 0.91, "loss": 0.3},
    images=40,
    dataset="/home/somebody/flowers",
    dataset_fingerprint="cd" * 32,
    parameters=11_200_000,
    flops=1_800_000,
    created="2026-01-02 03:04 UTC",
    files={"onnx": "model.onnx"},
    checks=(Check(format="onnx", file="model.onnx", images=40, difference=2e-6, allowed=1e-4, agreeing=40),),
    versions={"torch": "2.11"},
)


def written(folder: Path, content: bytes = b"weights") -> Path:
    with model_folder.replacing(folder) as place:
        (place / model_folder.FACTS).write_text(FACTS.to_json(), "utf-8")
        (place / model_folder.CANDIDATE).write_text('{"format": 1}', "utf-8")
        (place / "model.onnx").write_bytes(content)
    return folder


def test_what_was_written_is_read_and_other_programs_can_check_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "deep" / "model")
    assert model_folder.read(folder) == FACTS
    subprocess.run(["sha256sum", "-c", "SHA256SUMS"], cwd=folder, check=True, capture_output=True)
    assert [path.name for path in (tmp_path / "deep").iterdir()] == ["model"]


@pytest.mark.parametrize(
    ("umask", "files", "folders"), [(0o022, 0o644, 0o755), (0o002, 0o664, 0o775), (0o077, 0o600, 0o700)]
)
def test_a_model_follows_the_umask(tmp_path: Path, umask: int, files: int, folders: int) -> None:
    before = os.umask(umask)
    try:
        with model_folder.replacing(tmp_path / "model") as place:
            (place / "inner").mkdir(mode=0o700)
            (place / "inner" / "file").touch(mode=0o600)  # as some writers make them
    finally:
        os.umask(before)
    modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "model", *(tmp_path / "model").rglob("*"))}
    assert modes == {"model": folders, "inner": folders, "file": files, "SHA256SUMS": files}


def test_a_new_model_replaces_an_older_one_and_leaves_nothing_of_it(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    with model_folder.replacing(folder) as place:
        (place / model_folder.FACTS).write_text(replace(FACTS, name="newer", files={}).to_json(), "utf-8")
        (place / model_folder.CANDIDATE).write_text("{}", "utf-8")
    assert model_folder.read(folder).name == "newer"
    assert sorted(path.name for path in folder.iterdir()) == ["SHA256SUMS", "candidate.json", "model.json"]
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_a_failure_leaves_the_older_model_as_it_was(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    before = {path.name: path.read_bytes() for path in folder.iterdir()}

    def fail() -> None:
        with model_folder.replacing(folder) as place:
            (place / "model.onnx").write_bytes(b"half")
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fail()
    assert {path.name: path.read_bytes() for path in folder.iterdir()} == before
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_the_older_model_is_put_back_when_the_new_one_cannot_take_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = written(tmp_path / "model")
    rename = Path.rename

    def fail_once(self: Path, target: Path) -> Path:
        if self.name.startswith(".model.partial"):
            raise OSError(28, "No space left on device")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail_once)
    with pytest.raises(UserError, match="No space left"):
        written(folder, b"newer")
    monkeypatch.undo()
    assert (folder / "model.onnx").read_bytes() == b"weights"
    assert model_folder.read(folder) == FACTS
    assert [path.name for path in tmp_path.iterdir()] == ["model"]


def test_other_files_are_never_touched(tmp_path: Path) -> None:
    foreign = tmp_path / "photographs"
    foreign.mkdir()
    (foreign / "one.jpg").touch()
    with pytest.raises(UserError, match=r"holds other files \(one.jpg\)"):
        written(foreign)
    folder = written(tmp_path / "model")
    (folder / "notes.txt").touch()
    with pytest.raises(UserError, match=r"not the model's \(notes.txt\)"):
        written(folder)
    (tmp_path / "file").touch()
    with pytest.raises(UserError, match="is a file"):
        written(tmp_path / "file")
    (tmp_path / "empty").mkdir()
    assert model_folder.read(written(tmp_path / "empty")) == FACTS


@pytest.mark.parametrize("name", ["model.onnx", "model.json", "candidate.json"])
def test_a_changed_file_is_named(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "model")
    (folder / name).write_bytes(b"other")
    with pytest.raises(UserError, match=rf"{name} is damaged or was changed: its SHA-256 begins with d9298a10d1b07358"):
        model_folder.read(folder)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    (folder / "model.onnx").unlink()
    with pytest.raises(UserError, match=r"model\.onnx cannot be read: No such file"):
        model_folder.read(folder)


def test_a_folder_without_a_model_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UserError, match=r"is not a model: it holds no model\.json"):
        model_folder.read(tmp_path)
    with pytest.raises(UserError, match="is not a model: no such folder"):
        model_folder.read(tmp_path / "nowhere")
    folder = written(tmp_path / "model")
    (folder / "SHA256SUMS").write_text("")
    with pytest.raises(UserError, match=r"does not list model\.json"):
        model_folder.read(folder)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"format": 9, "colour": 1}, "of format 9, this version"),
        ({"colour": 1}, "colour"),
        ({"classes": 3}, "classes"),
        ({"temperature": True}, "temperature: Input should be a valid number"),
        ({"temperature": "2"}, "temperature: Input should be a valid number"),
        ({"folded": 1}, "folded: Input should be a valid boolean"),
        ({"parameters": True}, "parameters: Input should be a valid integer"),
        ({"base_size": ["32", 32]}, r"base_size\.0: Input should be a valid integer"),
    ],
)
def test_facts_of_another_form_are_refused(tmp_path: Path, change: dict[str, object], message: str) -> None:
    with model_folder.replacing(tmp_path / "model") as place:
        (place / model_folder.FACTS).write_text(json.dumps(json.loads(FACTS.to_json()) | change), "utf-8")
        (place / model_folder.CANDIDATE).write_text("{}", "utf-8")
    with pytest.raises(UserError, match=message):
        model_folder.read(tmp_path / "model")


@pytest.mark.parametrize("text", ["{", "[" * 100_000, "1"])
def test_facts_that_are_not_json_or_not_facts_are_refused_in_a_line(tmp_path: Path, text: str) -> None:
    folder = written(tmp_path / "model")
    (folder / model_folder.FACTS).write_text(text, "utf-8")
    model_folder.seal(folder)
    with pytest.raises(UserError, match=r"^\S+/model\.json: [A-Z][^\n]*; export the model again$"):
        model_folder.read(folder)


@pytest.mark.parametrize("name", ["../secret.onnx", "other.onnx"])
def test_a_file_that_no_checksum_vouches_for_is_refused(tmp_path: Path, name: str) -> None:
    folder = tmp_path / "model"
    (tmp_path / "secret.onnx").write_bytes(b"not ours")
    with model_folder.replacing(folder) as place:
        (place / model_folder.FACTS).write_text(replace(FACTS, files={"onnx": name}).to_json(), "utf-8")
        (place / model_folder.CANDIDATE).write_text("{}", "utf-8")
        (place / "model.onnx").write_bytes(b"weights")
    with pytest.raises(UserError, match=rf"model\.json: files: {name} is not among the files of .*SHA256SUMS"):
        model_folder.read(folder)


def test_the_card_may_be_added_to(tmp_path: Path) -> None:
    folder = written(tmp_path / "model")
    (folder / model_folder.CARD).write_text("for the farm")
    assert model_folder.read(folder) == FACTS
    assert model_folder.CARD not in (folder / "SHA256SUMS").read_text()
    assert model_folder.read(written(folder)) == FACTS


@pytest.mark.parametrize("name", ["/dev/zero", "../secret", "link", "pipe", "folder", "a\0b", "sub/../../secret"])
@pytest.mark.timeout(20)
def test_checksums_reach_no_file_outside_of_the_folder(tmp_path: Path, name: str) -> None:
    folder = written(tmp_path / "model")
    (tmp_path / "secret").write_text("secret")
    (folder / "link").symlink_to("/dev/zero")
    os.mkfifo(folder / "pipe")
    (folder / "folder").mkdir()
    with (folder / "SHA256SUMS").open("a") as file:
        file.write(f"{'0' * 64}  {name}\n")
    with pytest.raises(UserError, match=r"SHA256SUMS lists .*, which is no file of this folder; export"):
        model_folder.read(folder)


@pytest.mark.parametrize("when", ["writing", "exchanging"])
def test_what_a_killed_export_left_is_taken_up(tmp_path: Path, when: str) -> None:
    folder = tmp_path / "mo[d]el"
    with model_folder.replacing(folder) as place:
        (place / "model.json").write_text("old")
    dead = partial_files.name_for().replace(f"-{os.getpid()}-", "-4194305-")  # above every process's number
    if when == "writing":
        (tmp_path / f".mo[d]el{dead}").mkdir()
        (tmp_path / f".mo[d]el{dead}" / "half").touch()
    else:
        folder.rename(tmp_path / f".mo[d]el.old{dead}")
    with model_folder.replacing(folder) as place:
        assert (folder / "model.json").read_text() == "old"
        (place / "model.json").write_text("new")
    assert (folder / "model.json").read_text() == "new"
    assert [path.name for path in tmp_path.iterdir()] == ["mo[d]el"]
