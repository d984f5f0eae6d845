from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest
import torch

from search.errors import TrialError
from search.training import checkpoint as files
from search.training.checkpoint import Checkpoint

EXAMPLE = Checkpoint(
    {"network.a": torch.arange(6.0).reshape(2, 3), "step": torch.tensor(3)}, {"epoch": 2, "names": ["x"]}
)


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    found = files.read(files.write(tmp_path / "deep", "best", EXAMPLE))
    assert found.facts == EXAMPLE.facts
    assert torch.equal(found.part("network.")["a"], EXAMPLE.tensors["network.a"])


def test_a_damaged_checkpoint_falls_back_to_the_one_before(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    for epoch in (1, 2, 3):
        files.write_rolling(tmp_path, epoch, Checkpoint(EXAMPLE.tensors, {"epoch": epoch}))
    assert len(list(tmp_path.iterdir())) == 2
    newest = max(tmp_path.iterdir())
    newest.write_bytes(newest.read_bytes()[:-4])
    found = files.read_newest(tmp_path)
    assert found is not None
    assert found.facts == {"epoch": 2}
    assert "damaged" in caplog.text


def test_a_full_disk_fails_with_that_reason_and_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(TrialError, match="the disk is full") as caught:
        files.write(tmp_path, "best", EXAMPLE)
    assert caught.value.kind == "disk"
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("content", [b"", b"nonsense", b"\x08\x00\x00\x00\x00\x00\x00\x00{}      "])
def test_a_file_that_is_not_a_checkpoint_is_refused(tmp_path: Path, content: bytes) -> None:
    import hashlib

    path = tmp_path / f"x-{hashlib.sha256(content).hexdigest()[:16]}.safetensors"
    path.write_bytes(content)
    with pytest.raises(TrialError, match="not a checkpoint"):
        files.read(path)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(TrialError, match="cannot read"):
        files.read(tmp_path / "absent.safetensors")
    assert files.read_newest(tmp_path / "nowhere") is None


def test_what_is_for_resuming_is_removed_with_its_folder(tmp_path: Path) -> None:
    folder = tmp_path / "resume"
    files.write_rolling(folder, 1, EXAMPLE)
    files.remove_rolling(folder)
    assert not folder.exists()
