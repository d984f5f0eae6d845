from __future__ import annotations

import sys
from collections.abc import Callable
from multiprocessing.process import BaseProcess
from pathlib import Path

import pytest
import torch

from search.errors import UserError
from search.training import memory_budget

CPU = torch.device("cpu")


@pytest.mark.parametrize(("text", "size"), [("8GB", 8 << 30), ("500 MiB", 500 << 20), ("1.5k", 1536), ("77", 77)])
def test_sizes_are_read(text: str, size: int) -> None:
    assert memory_budget.parse_size(text) == size


def test_a_budget_of_the_environment_is_taken_and_a_wrong_one_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("FTSEARCH_HOST_BUDGET", "3MB")
    assert memory_budget.budgets(CPU, tmp_path).host == 3 << 20
    monkeypatch.setenv("FTSEARCH_DISK_BUDGET", "lots")
    with pytest.raises(UserError, match=r"FTSEARCH_DISK_BUDGET: expected a size such as 8GB or 500MB, got 'lots'"):
        memory_budget.budgets(CPU, tmp_path)


def test_budgets_are_read_from_the_machine(tmp_path: Path) -> None:
    found = memory_budget.budgets(CPU, tmp_path / "not" / "there")
    assert found.device == 0
    assert found.host > 0
    assert found.disk > 0
    assert memory_budget.budgets(CPU, None).disk == 0


PROGRAM = """
import os, resource, sys, torch
from search.training import memory_budget
if os.fork():
    os.wait()
else:
    os.environ["FTSEARCH_KEEP_MEMORY"] = "0"
kept = memory_budget.keep_memory()
for _ in range(10):
    torch.ones(20_000_000)
before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
for _ in range(10):
    torch.ones(20_000_000)
print(kept, resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before, flush=True)
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="glibc only")
def test_kept_memory_is_not_mapped_again(tmp_path: Path, start_program: Callable[..., BaseProcess]) -> None:
    start_program(PROGRAM, output=tmp_path / "faults.txt").join()
    (left, many), (kept, few) = (line.split() for line in (tmp_path / "faults.txt").read_text().splitlines())
    assert left == "False"
    assert kept == "False" or int(few) < int(many) / 5
