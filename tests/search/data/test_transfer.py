from __future__ import annotations

import torch
from cuda_standin import stand_in

from search.data.transfer import fetched, sent


def test_on_the_cpu_nothing_is_copied_to_be_sent() -> None:
    rows = torch.arange(4.0)
    assert sent(rows, torch.device("cpu")) is rows


def test_what_is_fetched_from_the_cpu_is_a_copy_in_the_same_layout() -> None:
    images = torch.randn(2, 3, 4, 5).contiguous(memory_format=torch.channels_last).requires_grad_()
    found = fetched({"images": images})["images"]
    assert torch.equal(found, images)
    assert found.data_ptr() != images.data_ptr()
    assert found.is_contiguous(memory_format=torch.channels_last)
    assert not found.requires_grad


def test_to_a_device_and_back_the_host_waits_once_for_all() -> None:
    with stand_in() as device:
        there = {str(size): sent(torch.arange(size), torch.device("cuda")) for size in (1, 3, 7)}
        assert {one.device.type for one in there.values()} == {"cuda"}
        assert device.waits == []
        back = fetched(there)
        assert [why for why, _ in device.waits] == ["synchronize"]
    assert {name: one.tolist() for name, one in back.items()} == {str(size): list(range(size)) for size in (1, 3, 7)}
