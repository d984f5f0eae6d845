from __future__ import annotations

import pytest
import torch

from search.training import precision


def test_the_cpu_computes_in_float32() -> None:
    found = precision.choose(torch.device("cpu"))
    assert found.dtype is None
    assert found.channels_last
    assert not found.scaler.is_enabled()


@pytest.mark.parametrize("name", ["gpu", "cuda:99", "mps:0", "cpu:x"])
def test_a_device_that_is_not_there_is_refused(name: str) -> None:
    with pytest.raises(ValueError, match="device"):
        precision.device_of(name)


def test_auto_takes_cuda_where_there_is_one() -> None:
    assert precision.device_of("auto").type == ("cuda" if torch.cuda.is_available() else "cpu")


@pytest.mark.gpu
@pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")
def test_cuda_computes_in_half_precision() -> None:
    found = precision.choose(torch.device("cuda"))
    assert found.dtype in (torch.bfloat16, torch.float16)
    with found.autocast():
        assert (torch.ones(2, 2, device="cuda") @ torch.ones(2, 2, device="cuda")).dtype is found.dtype
