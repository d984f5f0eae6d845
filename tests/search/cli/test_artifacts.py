from __future__ import annotations

import io
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.store import checkpoint_owners, reading
from search.store.opening import opened


@pytest.fixture(autouse=True)
def own(here: Path) -> None:
    """The store says of its copy's checkpoints that they are in the copy too."""
    with opened("sqlite:///runs/ftsearch.db") as engine:
        found = reading.artifacts_of(engine, "colours")
        assert found is not None
        checkpoint_owners.move(engine, "colours", str(here / "runs" / "colours"), found[1])


def test_a_place_that_is_whole_is_shown_and_left_alone(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("artifacts", "colours")
    assert done.code == 0, done.err
    assert f"Place: {here / 'runs' / 'colours'}" in done.out
    assert "lost" not in done.out
    found = ftsearch("artifacts", "colours", "--json").data
    files = {path.name for path in (here / "runs" / "colours").glob("trial-*")}
    assert {one["name"] for one in found["kept"]} == files
    assert (found["is_there"], found["lost"], found["leftovers"]) == (True, [], [])
    assert "Nothing to repair" in ftsearch("artifacts", "colours", "--repair").out


def test_best_names_weights_that_are_there(here: Path, ftsearch: Callable[..., Any]) -> None:
    name = ftsearch("best", "colours", "--json").data["checkpoint"]
    assert (here / "runs" / "colours" / name).is_file()
    assert f"Weights: {here / 'runs' / 'colours' / name}" in ftsearch("best", "colours").out


@pytest.mark.parametrize("what", ["the place", "a file"])
def test_what_was_removed_is_reported_and_mended(here: Path, ftsearch: Callable[..., Any], what: str) -> None:
    place = here / "runs" / "colours"
    best = ftsearch("best", "colours", "--json").data
    if what == "the place":
        shutil.rmtree(place)
    else:
        (place / best["checkpoint"]).unlink()
    done = ftsearch("best", "colours")
    assert done.code == 0
    (line,) = [line for line in done.out.splitlines() if line.startswith("Weights")]
    assert "gone" in line
    assert "ftsearch artifacts colours" in line
    assert ftsearch("best", "colours", "--json").data["checkpoint"] is None
    refused = ftsearch("export", "colours")
    assert refused.code == 2
    if what == "the place":
        assert "ftsearch artifacts STUDY --repair" in ftsearch("run", "study.yaml", "--trials", "7").err
    shown = ftsearch("artifacts", "colours")
    assert f"lost: trial {best['number']} ({best['value']:.4f}): weights" in shown.out
    assert "Next: ftsearch artifacts colours --repair" in shown.out
    done = ftsearch("artifacts", "colours", "--repair", "--yes")
    assert done.code == 0, done.err
    assert "Repaired" in done.out
    assert "ftsearch refit colours" in done.out
    assert "Nothing to repair" in ftsearch("artifacts", "colours", "--repair").out
    assert "Weights" not in ftsearch("best", "colours").out
    done = ftsearch("run", "study.yaml", "--trials", "7")
    assert done.code == 0, done.err
    assert "7 of 7 trials" in ftsearch("status", "colours").out


def test_nothing_is_repaired_without_confirmation(
    here: Path, ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    shutil.rmtree(here / "runs" / "colours")
    for answer in ("n\n", ""):
        monkeypatch.setattr("sys.stdin", io.StringIO(answer))
        done = ftsearch("artifacts", "colours", "--repair")
        assert (done.code, "nothing was changed" in done.err) == (2, True)
    assert not (here / "runs" / "colours").exists()


def test_a_place_that_was_moved_is_not_lost(here: Path, ftsearch: Callable[..., Any]) -> None:
    (here / "runs" / "colours").rename(here / "moved")
    assert "lost" in ftsearch("artifacts", "colours").out
    found = ftsearch("artifacts", "colours", "--artifacts", here / "moved", "--json").data
    assert (found["is_there"], found["lost"]) == (True, [])


def test_leftovers_are_counted_and_removed(here: Path, ftsearch: Callable[..., Any]) -> None:
    place = here / "runs" / "colours"
    (place / f"trial-00099-{'a' * 16}.safetensors").touch()
    (place / "notes.txt").touch()
    assert "1 files belong to no trial" in ftsearch("artifacts", "colours").out
    assert ftsearch("artifacts", "colours", "--repair", "--yes").code == 0
    assert not (place / f"trial-00099-{'a' * 16}.safetensors").exists()
    assert (place / "notes.txt").exists()
    assert "Nothing to repair" in ftsearch("artifacts", "colours", "--repair").out


def test_a_missing_study_is_reported(here: Path, ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("artifacts", "colors")
    assert (done.code, "colours" in done.err) == (2, True)
