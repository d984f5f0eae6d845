"""Workers on a Ray cluster: an actor each, with its share of a GPU, restarted elsewhere when a node dies."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
from typing import Any

from search.errors import UserError
from search.workers.launchers._base import WRONG_INPUT, Launcher, LaunchPlan, start_worker, wait_for

logger = logging.getLogger(__name__)
_STOP_S = 30.0


class Ray(Launcher):
    """Actors that run ``ftsearch worker``. All results are in the store, so an actor needs no state.

    Ray starts an actor again on another node when its own is gone, and its call with it
    (https://docs.ray.io/en/latest/ray-core/fault_tolerance/actors.html).
    """

    name = "ray"

    def __init__(self, launch_plan: LaunchPlan) -> None:
        super().__init__(launch_plan)
        self._actors: list[Any] = []
        self._calls: list[Any] = []
        self._ended: list[tuple[int, str] | None] = []
        """Exit code and last error of every worker that has ended."""
        self._ray: Any = None

    def start(self, count: int) -> None:
        ray = self._ray = _installed()
        if not ray.is_initialized():
            try:
                ray.init(address=self.launch_plan.placement.address, log_to_driver=False, logging_level=logging.WARNING)
            except (ConnectionError, ValueError, RuntimeError) as error:
                raise UserError(
                    f"cannot join the Ray cluster at {self.launch_plan.placement.address}: {error}; start one with "
                    "`ray start --head`, or leave --address out for one on this machine"
                ) from error
        share = (
            {}
            if self.launch_plan.device == "cpu" or not _gpus(ray)
            else {"num_gpus": 1 / self.launch_plan.placement.per_gpu}
        )
        # Ray decides where it runs and names the GPU in the environment; we never give a number.
        device = "auto" if self.launch_plan.device.startswith("cuda") else self.launch_plan.device
        actor = ray.remote(_Worker).options(num_cpus=1, max_restarts=-1, max_task_retries=-1, **share)
        path = os.pathsep.join(sys.path)
        environment = self.launch_plan.environment() | {"PYTHONPATH": path}
        self._actors = [actor.remote() for _ in range(count)]
        self._calls = [one.run.remote(self.launch_plan.arguments(device), environment) for one in self._actors]
        self._ended = [None] * count

    def alive(self) -> int:
        done, _ = self._ray.wait(self._calls, num_returns=len(self._calls), timeout=0)
        for number, call in enumerate(self._calls):
            if call in done and self._ended[number] is None:
                self._ended[number] = _end_of(self._ray, call)
        return sum(end is None for end in self._ended)

    def stop(self) -> None:
        for actor, end in zip(self._actors, self._ended, strict=True):
            if end is None:
                actor.stop.remote()
        self._ray.wait(self._calls, num_returns=len(self._calls), timeout=_STOP_S)

    def kill(self) -> None:
        for actor in self._actors:
            self._ray.kill(actor)

    def complaint(self) -> str:
        codes = self._codes()
        if codes and all(codes):
            words = next((words for _, words in filter(None, self._ended) if words), "they printed nothing")
            return (
                f"all {len(codes)} workers failed (exit codes {sorted(set(codes))}: {words}); "
                "their logs are in Ray's session"
            )
        return ""

    def fault(self) -> str:
        words = [words for _, words in filter(None, self._ended)]
        return next(filter(None, words), "") if set(self._codes()) == {WRONG_INPUT} else ""

    def _codes(self) -> list[int]:
        """Return the exit codes of all workers; empty while any of them runs."""
        codes = [code for code, _ in filter(None, self._ended)]
        return codes if len(codes) == len(self._ended) else []


class _Worker:
    """One actor: runs a worker in a thread, so that it can receive a stop meanwhile."""

    def __init__(self) -> None:
        self._process: subprocess.Popen[bytes] | None = None

    def run(self, arguments: list[str], environment: dict[str, str]) -> tuple[int, str]:
        self._process = start_worker(arguments, environment, listening=True)
        return wait_for(self._process)

    def stop(self) -> None:
        if self._process is not None:
            self._process.terminate()


def _installed() -> Any:
    try:
        import ray  # noqa: PLC0415  # an extra
    except ImportError as error:
        raise UserError("--launcher ray: Ray is not installed; install ftsearch[ray]") from error
    return ray


def _gpus(ray: Any) -> float:
    return float(ray.cluster_resources().get("GPU", 0))


def _end_of(ray: Any, call: Any) -> tuple[int, str]:
    try:
        code, words = ray.get(call)
    except ray.exceptions.RayError as error:
        logger.warning("a worker's actor has died: %s", error)
        return 1, ""
    return int(code), str(words)


launcher = Ray
