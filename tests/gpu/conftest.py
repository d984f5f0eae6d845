"""The device of the tests marked ``gpu``: CUDA, or in a rehearsal what stands in for it.

``FTSEARCH_GPU_REHEARSAL=cpu`` runs the same tests on the CPU, ``=standin`` on a stand-in of a CUDA device; without
either, and without a GPU, they are skipped.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence

import pytest
import torch
from cuda_standin import stand_in

REHEARSAL = os.environ.get("FTSEARCH_GPU_REHEARSAL", "")
HAS_CUDA = torch.cuda.is_available()


def pytest_collection_modifyitems(items: Sequence[pytest.Item]) -> None:
    if HAS_CUDA or REHEARSAL:
        return
    for item in items:
        if item.get_closest_marker("gpu"):
            item.add_marker(pytest.mark.skip(reason="no CUDA device"))


@pytest.fixture
def device() -> Iterator[str]:
    """The name of the device that the test is about."""
    if HAS_CUDA:
        yield "cuda"
        torch.cuda.empty_cache()
    elif REHEARSAL == "standin":
        with stand_in():
            yield "cuda"
    else:
        yield "cpu"


@pytest.fixture
def only_cuda() -> None:
    """Skip what only a GPU has: its memory, its errors, its second one."""
    if not HAS_CUDA:
        pytest.skip("a rehearsal has no GPU")


@pytest.fixture
def starts_processes() -> None:
    """Skip what other processes do: a stand-in ends at this one."""
    if REHEARSAL == "standin" and not HAS_CUDA:
        pytest.skip("other processes have no stand-in")
