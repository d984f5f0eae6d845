"""Workers as processes of this machine, each with its GPU and its share of the CPU's threads."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from search.workers.launchers._base import WRONG_INPUT, Launcher, LaunchPlan, as_child, last_error

logger = logging.getLogger(__name__)
_RESTARTS = 3
"""How often a worker that died is restarted."""
_STOP_S = 30.0


@dataclass(slots=True)
class _Place:
    number: int
    device: str
    process: subprocess.Popen[bytes] | None = None
    starts: int = 0


class Local(Launcher):
    """Child processes that run ``ftsearch worker``; they exit when this process dies.

    With ``--device auto`` workers go to the machine's GPUs in turn. One that dies (the system's out-of-memory
    killer, a lost device) is restarted; one whose input is wrong is not.
    """

    name = "local"

    def __init__(self, launch_plan: LaunchPlan) -> None:
        super().__init__(launch_plan)
        self._places: list[_Place] = []
        self._stopping = False

    def start(self, count: int) -> None:
        devices = devices_for(self.launch_plan.device, count)
        self._places = [_Place(number, device) for number, device in enumerate(devices)]
        for index in self._places:
            self._launch(index)

    def _launch(self, place: _Place) -> None:
        threads = threads_for(len(self._places))
        with self.log(place.number).open("ab") as log:
            place.process = subprocess.Popen(  # noqa: S603  # our own interpreter and arguments
                [sys.executable, *self.launch_plan.arguments(place.device)],
                env=as_child(self.launch_plan.environment(threads)),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,  # a Ctrl-C reaches this process alone, which passes it on once
            )
        place.starts += 1

    def log(self, number: int) -> Path:
        """Return the log file of a worker."""
        return self.launch_plan.folder / f"worker-{number}.log"

    @property
    def processes(self) -> tuple[subprocess.Popen[bytes], ...]:
        return tuple(slot.process for slot in self._places if slot.process is not None)

    def alive(self) -> int:
        return sum(self._is_alive(slot) for slot in self._places)

    def _is_alive(self, place: _Place) -> bool:
        code = place.process.poll() if place.process is not None else None
        if code is None:
            return True
        if code in (0, WRONG_INPUT) or self._stopping or place.starts > _RESTARTS:
            return False
        logger.warning("worker %d died (%s); restarting it, see %s", place.number, code, self.log(place.number))
        self._launch(place)
        return True

    def stop(self) -> None:
        self._stopping = True
        for process in self.processes:
            if process.poll() is None:
                process.terminate()
        for process in self.processes:
            try:
                process.wait(_STOP_S)
            except subprocess.TimeoutExpired:
                process.kill()  # its trial is taken over by the next worker
                process.wait()

    def kill(self) -> None:
        self._stopping = True
        for process in self.processes:
            if process.poll() is None:
                process.kill()
                process.wait()

    def complaint(self) -> str:
        failed = [slot for slot in self._places if slot.process is not None and slot.process.returncode != 0]
        if not failed:
            return ""
        logs = self.launch_plan.folder / "worker-*.log"
        if len(failed) < len(self._places):
            logger.warning("%d of %d workers failed; see %s", len(failed), len(self._places), logs)
            return ""
        last = self.log(0).read_text(errors="replace").strip().splitlines()[-1:]
        return f"all {len(failed)} workers failed; see {logs} ({''.join(last)})"

    def fault(self) -> str:
        codes = {slot.process.returncode for slot in self._places if slot.process is not None}
        return last_error(self.log(0).read_text(errors="replace")) if codes == {WRONG_INPUT} else ""


def devices_for(device: str, count: int) -> list[str]:
    """Return a device for each of ``count`` workers: the machine's GPUs in turn when ``device`` leaves it open."""
    if device in ("auto", "cuda"):
        import torch  # noqa: PLC0415  # only where GPUs are counted

        gpus = torch.cuda.device_count()
        if gpus:
            return [f"cuda:{number % gpus}" for number in range(count)]
    return [device] * count


def threads_for(count: int) -> int:
    """Return the CPU threads of each of ``count`` workers of this machine."""
    return max(len(os.sched_getaffinity(0)) // count, 1) if hasattr(os, "sched_getaffinity") else 1


launcher = Local
