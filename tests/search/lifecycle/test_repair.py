from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from search.api import load_study, open_artifacts
from search.errors import UserError
from search.lifecycle import repair
from search.store import checkpoint_owners
from search.store.opening import opened


def test_a_recreated_place_keeps_its_key_and_may_be_elsewhere(url: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "runs" / "colours")
    with opened(url) as engine:
        before = repair.look(engine, "colours", str(tmp_path / "new"))
        assert not before.is_there
        assert before.lost
        repair.repair(engine, "colours", before)
        after = repair.look(engine, "colours")
    assert after.is_whole
    assert after.key == before.key
    assert after.artifact_store.address == str(tmp_path / "new")
    assert open_artifacts("colours", storage=url).address == str(tmp_path / "new")
    assert all(trial.checkpoint is None for trial in load_study("colours", storage=url).trials)


def test_a_place_that_cannot_be_written_is_refused_and_nothing_is_forgotten(url: str, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path / "runs" / "colours")
    (tmp_path / "file").touch()
    with opened(url) as engine:
        place = repair.look(engine, "colours", str(tmp_path / "file" / "in"))
        with pytest.raises(UserError, match="cannot keep checkpoints"):
            repair.repair(engine, "colours", place)
    assert any(trial.checkpoint for trial in load_study("colours", storage=url).trials)


def test_weights_are_named_where_they_are(url: str, tmp_path: Path) -> None:
    best = load_study("colours", storage=url).best
    assert best is not None
    assert best.checkpoint is not None
    with opened(url) as engine:
        words, is_there = repair.weights_words(engine, "colours", best.checkpoint)
        assert is_there
        assert Path(words).is_file()
        words, is_there = repair.weights_words(engine, "colours", "trial-00000-gone.safetensors")
        assert (is_there, words.endswith("trial-00000-gone.safetensors is gone")) == (False, True)


@pytest.mark.parametrize("address", ["file:///elsewhere", "/a\0b", "s3://"])
def test_weights_are_nowhere_if_their_address_means_nothing(url: str, address: str) -> None:
    with opened(url) as engine:
        checkpoint_owners.move(engine, "colours", address, "a" * 32)
        words, is_there = repair.weights_words(engine, "colours", "trial-00000-gone.safetensors")
    assert not is_there
    assert words.endswith("which cannot be reached from here or is gone")
