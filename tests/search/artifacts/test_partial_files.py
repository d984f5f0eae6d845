from __future__ import annotations

import os
import stat
import subprocess
import sys
import time
from pathlib import Path

import pytest

from search.artifacts import partial_files

CHILD = "import os, sys\nfrom search.artifacts import partial_files\nopen(partial_files.name_for('.x'), 'w').close()\n"


def left_by_the_dead(folder: Path, ending: str = "os.kill(os.getpid(), 9)") -> Path:
    """Return a temporary file in ``folder`` of a process that was killed."""
    program = CHILD + ending
    subprocess.run([sys.executable, "-c", program], cwd=folder, check=False, env=os.environ | {"PYTHONPATH": str(ROOT)})
    (found,) = folder.glob(f"{partial_files.PREFIX}*")
    return found


ROOT = Path(partial_files.__file__).parents[1]


def test_a_file_is_replaced_whole_or_stays(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    place = tmp_path / "report.html"
    partial_files.write(place, b"first")
    assert place.read_bytes() == b"first"

    def full(_: int) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr("os.fsync", full)
    with pytest.raises(OSError, match="No space left"):
        partial_files.write(place, b"second")
    assert place.read_bytes() == b"first"
    assert [path.name for path in tmp_path.iterdir()] == ["report.html"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o002, 0o664), (0o077, 0o600), (0o027, 0o640)])
def test_files_follow_the_umask(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        partial_files.write(tmp_path / "file", b"x")
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "file").stat().st_mode) == expected


def test_what_a_killed_process_left_is_known_and_removed(tmp_path: Path) -> None:
    found = left_by_the_dead(tmp_path)
    mine = tmp_path / partial_files.name_for()
    mine.touch()
    (tmp_path / "other").touch()
    assert partial_files.is_left(found)
    assert not partial_files.is_left(mine)
    assert partial_files.sweep(tmp_path) == 1
    assert {path.name for path in tmp_path.iterdir()} == {mine.name, "other"}


def test_a_process_that_lives_keeps_its_files(tmp_path: Path) -> None:
    program = CHILD + "print(flush=True)\nsys.stdin.read()"
    child = subprocess.Popen(
        [sys.executable, "-c", program],
        cwd=tmp_path,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": str(ROOT)},
    )
    assert child.stdout is not None
    child.stdout.readline()
    (found,) = tmp_path.iterdir()
    os.utime(found, (0, 0))  # however old
    assert partial_files.sweep(tmp_path) == 0
    child.communicate(b"")
    assert partial_files.sweep(tmp_path) == 1


def test_a_number_that_another_process_has_by_now_does_not_keep_a_file(tmp_path: Path) -> None:
    fields = partial_files.name_for().split("-")
    fields[3] = str(int(fields[3]) - 1000)
    reused = tmp_path / "-".join(fields)
    reused.touch()
    assert partial_files.is_left(reused)


@pytest.mark.parametrize("name", [".partial-0badhost-1-1-x", ".partial-abcdefgh", ".partial-", ".partial-a-b-c-d"])
def test_files_of_other_machines_and_versions_are_kept_for_a_day(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.touch()
    assert not partial_files.is_left(path)
    os.utime(path, (time.time() - 25 * 3600,) * 2)
    assert partial_files.is_left(path)


def test_a_missing_folder_holds_nothing(tmp_path: Path) -> None:
    assert partial_files.sweep(tmp_path / "none") == 0
    assert not partial_files.is_left(tmp_path / ".partial-none")
