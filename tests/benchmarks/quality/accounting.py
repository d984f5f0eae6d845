"""CPU seconds of a whole process tree: measured by the kernel, held to a limit.

While a command runs, its tree is summed several times per second (user and system time of every living process and of
the children that each has waited for); what the kernel reports of the ended command counts when that is more. Beyond
the limit the whole tree is killed. A process whose parent dies first is counted, and killed, if it was seen before.
"""

from __future__ import annotations

import bisect
import os
import resource
import signal
import subprocess
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import psutil

POLL_S = 0.2


@dataclass(frozen=True)
class Spent:
    """What a command took.

    Attributes:
        samples: moments (``time.time()``) with the CPU seconds that the tree had taken by then, in order.
    """

    cpu_s: float
    wall_s: float
    code: int
    killed: bool
    output: str
    errors: str
    samples: tuple[tuple[float, float], ...] = ()

    def cpu_at(self, moment: float) -> float:
        """Return the CPU seconds taken by ``moment`` (``time.time()``), between two samples in proportion."""
        times = [when for when, _ in self.samples]
        after = bisect.bisect_right(times, moment)
        if after == 0:
            return 0.0
        if after == len(times):
            return self.samples[-1][1]
        (first, low), (last, high) = self.samples[after - 1], self.samples[after]
        return low + (high - low) * (moment - first) / (last - first)


@dataclass
class _Tree:
    """The processes of one session, living and gone."""

    root: psutil.Process
    seen: dict[int, psutil.Process] = field(default_factory=dict)
    most: float = 0.0

    def cpu_s(self) -> float:
        """Return the CPU seconds of the tree so far; never less than before."""
        self.seen = {one.pid: one for one in self._living()}
        total = 0.0
        for process in self.seen.values():
            try:
                times = process.cpu_times()
            except psutil.Error:
                continue
            total += times.user + times.system + times.children_user + times.children_system
        self.most = max(self.most, total)
        return self.most

    def _living(self) -> list[psutil.Process]:
        try:
            found = [self.root, *self.root.children(recursive=True)]
        except psutil.Error:
            found = []
        strays = [one for one in self.seen.values() if one not in found and one.is_running()]
        return found + strays

    def kill(self) -> None:
        for process in self._living():
            try:
                process.send_signal(signal.SIGKILL)
            except psutil.Error:
                continue


def run(command: Sequence[str], *, limit_s: float, folder: Path, environment: Mapping[str, str]) -> Spent:
    """Run ``command`` in ``folder`` and return what it took; it is killed after ``limit_s`` CPU seconds of its tree."""
    with (folder / "stdout").open("w+") as out, (folder / "stderr").open("w+") as err:
        before = _of_children()
        begin = time.time()
        process = subprocess.Popen(
            command, cwd=folder, env={**os.environ, **environment}, stdout=out, stderr=err, start_new_session=True
        )
        tree, samples = _Tree(psutil.Process(process.pid)), [(begin, 0.0)]
        killed = False
        while True:
            try:
                process.wait(POLL_S)
                break
            except subprocess.TimeoutExpired:
                samples.append((time.time(), tree.cpu_s()))
            if samples[-1][1] > limit_s and not killed:
                tree.kill()
                killed = True
        tree.kill()  # strays
        cpu_s = max(tree.most, _of_children() - before)
        samples.append((time.time(), cpu_s))
        out.seek(0), err.seek(0)
        return Spent(cpu_s, time.time() - begin, process.returncode, killed, out.read(), err.read(), tuple(samples))


def _of_children() -> float:
    """Return the CPU seconds of all children that this process has waited for."""
    usage = resource.getrusage(resource.RUSAGE_CHILDREN)
    return usage.ru_utime + usage.ru_stime
