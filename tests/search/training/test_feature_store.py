from __future__ import annotations

import errno
from pathlib import Path

import pytest
import torch
from cuda_standin import stand_in

from search.data import array_cache
from search.data.transfer import sent
from search.training import feature_store
from search.training.feature_store import Arriving, FeatureStore, StoredFeatures
from search.training.memory_budget import Budgets

CPU = torch.device("cpu")
AMPLE = Budgets(0, 1 << 30, 1 << 30)


def make(store: FeatureStore, key: str, count: int = 5, value: float = 1.0, **changes: object) -> StoredFeatures | None:
    sample = torch.randn(2, 4, 3, 3).contiguous(memory_format=torch.channels_last)

    def fill(features: StoredFeatures) -> None:
        for place in range(count):
            features.put(slice(place, place + 1), torch.full((1, 4, 3, 3), value + place))

    return store.make(key, count, sample, fill)


@pytest.mark.parametrize("on_disk", [True, False])
@pytest.mark.parametrize("layout", [None, torch.bfloat16, torch.float16])
def test_features_come_back_image_by_image(tmp_path: Path, on_disk: bool, layout: torch.dtype | None) -> None:
    store = FeatureStore(CPU, tmp_path if on_disk else None, AMPLE, layout)
    make(store, "a")
    found = store.find("a")
    assert found is not None
    taken = found.take(torch.tensor([3, 0]), CPU)
    assert taken.dtype is torch.float32
    assert taken.is_contiguous(memory_format=torch.channels_last)
    assert taken.mean(dim=(1, 2, 3)).tolist() == [4.0, 1.0]
    assert found.bytes_an_image == 36 * (4 if layout is None else 2)


def test_another_process_finds_them_on_the_disk(tmp_path: Path) -> None:
    make(FeatureStore(CPU, tmp_path, AMPLE), "a")
    other = FeatureStore(CPU, tmp_path, AMPLE)
    assert other.find("a") is not None
    assert other.find("b") is None
    again = other.make("a", 5, torch.zeros(1, 4, 3, 3), lambda _: pytest.fail("computed again"))
    assert again is not None


def test_a_full_disk_leaves_them_in_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(array_cache.os, "posix_fallocate", full)
    store = FeatureStore(CPU, tmp_path, AMPLE)
    assert make(store, "a") is not None
    assert store.find("a") is not None
    assert "the disk is full" in caplog.text


def test_nothing_is_kept_where_nothing_has_room() -> None:
    store = FeatureStore(CPU, None, Budgets(0, 10, 0))
    assert make(store, "a") is None
    assert "more than the budgets allow" in store.why_not(5, torch.zeros(2, 4, 3, 3), 1.0)


def test_the_least_recently_used_leave_memory_first() -> None:
    store = FeatureStore(CPU, None, Budgets(0, 2 * 5 * 36 * 4, 0))
    for key in ("a", "b"):
        make(store, key)
    store.find("a")
    make(store, "c")
    assert [key for key in ("a", "b", "c") if store.find(key)] == ["a", "c"]


def test_what_is_slower_to_read_than_to_compute_is_not_kept(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feature_store, "copy_speed", lambda: 1e6)
    store, sample = FeatureStore(CPU, tmp_path, AMPLE), torch.zeros(2, 250_000)
    assert store.why_not(10, sample, seconds_an_image=2.0) == ""
    assert "reading an image's 0.95 MB takes 1000.000 ms" in store.why_not(10, sample, seconds_an_image=0.5)


def test_speeds_are_measured(tmp_path: Path) -> None:
    assert feature_store.copy_speed() > 1e6
    assert feature_store.disk_speed(tmp_path / "new") > 1e5
    blocked = tmp_path / "file"
    blocked.touch()
    assert feature_store.disk_speed(blocked / "below") == 1.0


def test_outputs_of_a_device_are_stored_while_the_next_are_computed() -> None:
    rows = torch.randn(7, 4, 3, 3)
    kept = StoredFeatures(torch.zeros(7, 3, 3, 4), channels_last=True, dtype=torch.float32)
    with stand_in() as device:
        arriving = Arriving(kept)
        for start in (0, 3, 6):
            outputs = sent(rows[start : start + 3], torch.device("cuda")).contiguous(memory_format=torch.channels_last)
            arriving.put(slice(start, min(start + 3, 7)), outputs)
            assert len(device.waits) == start // 3  # for the batch before this one
        arriving.finish()
        assert [why for why, _ in device.waits] == ["an event"] * 3
    assert torch.equal(kept.rows.permute(0, 3, 1, 2), rows)


def test_outputs_of_the_host_are_stored_at_once() -> None:
    kept = StoredFeatures(torch.zeros(2, 3), channels_last=False, dtype=torch.float32)
    Arriving(kept).put(slice(0, 2), torch.ones(2, 3))
    assert torch.equal(kept.rows, torch.ones(2, 3))
