from __future__ import annotations

import errno
import os
import threading
from pathlib import Path

import numpy as np
import pytest
from filelock import FileLock

from search.artifacts import partial_files
from search.data import array_cache
from search.data.array_cache import Array, ArrayCache, Facts


def ones(array: Array) -> Facts:
    array[:] = 1
    return {"of": "ones"}


def test_an_array_comes_back_with_its_facts(tmp_path: Path) -> None:
    arrays = ArrayCache(tmp_path / "new")
    assert arrays.find("a") is None
    made, facts = arrays.make("a", (3, 2), np.float32, ones)
    found = arrays.find("a")
    assert found is not None
    assert np.array_equal(found[0], np.ones((3, 2), np.float32))
    assert np.array_equal(made, found[0])
    assert facts == found[1] == {"of": "ones"}


def test_threads_that_ask_at_once_write_once(tmp_path: Path) -> None:
    written: list[int] = []
    together = threading.Barrier(4)

    def fill(array: Array) -> Facts:
        written.append(1)
        return ones(array)

    def ask() -> None:
        together.wait()
        ArrayCache(tmp_path).make("a", (8,), np.uint8, fill)

    threads = [threading.Thread(target=ask) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(written) == 1


def test_what_fails_while_writing_leaves_nothing(tmp_path: Path) -> None:
    def fail(array: Array) -> Facts:
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        ArrayCache(tmp_path).make("a", (8,), np.uint8, fail)
    assert not list(tmp_path.glob("*.npy"))


def test_room_is_made_before_something_new_is_written(tmp_path: Path) -> None:
    arrays = ArrayCache(tmp_path, budget_bytes=5000)
    for name in ("a", "b", "c"):
        arrays.make(name, (2000,), np.uint8, ones)
    assert sum(arrays.find(name) is not None for name in ("a", "b", "c")) == 2
    assert arrays.find("c") is not None


def test_what_dead_processes_left_makes_room_and_what_others_write_counts(tmp_path: Path) -> None:
    arrays = ArrayCache(tmp_path, budget_bytes=5000)
    dead = tmp_path / partial_files.name_for(".npy").replace(f"-{os.getpid()}-", "-4194305-")  # above every number
    dead.write_bytes(b"x" * 4000)
    arrays.make("a", (2000,), np.uint8, ones)
    arrays.make("b", (2000,), np.uint8, ones)
    assert not dead.exists()
    assert arrays.find("a") is not None
    os.utime(tmp_path / "a.npy", (0, 0))  # both were opened within one tick of the file system's clock, or not
    (tmp_path / partial_files.name_for(".npy")).write_bytes(b"x" * 2000)
    arrays.make("c", (100,), np.uint8, ones)
    assert arrays.find("a") is None
    assert arrays.find("b") is not None


def test_a_full_disk_is_reported_before_anything_is_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[int, int]] = []

    def full(handle: int, begin: int, size: int) -> None:
        asked.append((os.fstat(handle).st_size, size))
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(os, "posix_fallocate", full)
    filled: list[int] = []
    with pytest.raises(OSError, match="No space left"):
        ArrayCache(tmp_path).make("a", (10_000,), np.uint8, lambda _: filled.append(1) or {})
    assert asked == [(10_128, 10_128)]  # of the file that is mapped, header included
    assert not filled
    assert not [path for path in tmp_path.iterdir() if path.suffix != ".lock"]


@pytest.mark.parametrize(("umask", "expected"), [(0o022, 0o644), (0o002, 0o664)])
def test_arrays_follow_the_umask(tmp_path: Path, umask: int, expected: int) -> None:
    before = os.umask(umask)
    try:
        ArrayCache(tmp_path).make("a", (8,), np.uint8, ones)
    finally:
        os.umask(before)
    assert {path.stat().st_mode & 0o777 for path in (tmp_path / "a.npy", tmp_path / "a.json")} == {expected}


def test_errors_are_described() -> None:
    assert array_cache.why(OSError(errno.ENOSPC, "No space left on device")) == "the disk is full"
    assert array_cache.why(OSError(errno.EACCES, "Permission denied")) == "Permission denied"


def test_locks_and_facts_leave_with_their_arrays_but_no_lock_that_is_held(tmp_path: Path) -> None:
    cache = ArrayCache(tmp_path, budget_bytes=300)
    for name in ("a.npy.lock", "b.npy.lock", "e.json"):
        (tmp_path / name).touch()
    with FileLock(tmp_path / "b.npy.lock"):
        cache.make("c", (20,), np.uint8, lambda _: {})
    assert sorted(path.name for path in tmp_path.iterdir()) == ["b.npy.lock", "c.json", "c.npy", "c.npy.lock"]
    cache.make("d", (200,), np.uint8, lambda _: {})  # c leaves for it
    assert sorted(path.name for path in tmp_path.iterdir()) == ["d.json", "d.npy", "d.npy.lock"]
