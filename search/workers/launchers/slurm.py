"""Workers as a job array of Slurm, written and submitted through submitit; the cluster runs them when it has room."""

from __future__ import annotations

import logging
from typing import Any

from search.errors import UserError
from search.workers.launchers._base import Launcher, LaunchPlan, run_worker

logger = logging.getLogger(__name__)


class Slurm(Launcher):
    """A job array whose tasks run ``ftsearch worker``; Slurm's SIGTERM before the time limit hands trials back.

    Settings come from ``--launcher-option``: ``partition=gpu``, ``timeout_min=240``, ``cpus_per_task=8`` and all
    others of submitit (https://github.com/facebookincubator/submitit).
    """

    name = "slurm"
    is_detached = True

    def __init__(self, launch_plan: LaunchPlan) -> None:
        super().__init__(launch_plan)
        self.jobs: list[Any] = []

    def start(self, count: int) -> None:
        executor = self._executor()
        arguments = self.launch_plan.arguments(
            "auto" if self.launch_plan.device.startswith("cuda") else self.launch_plan.device
        )
        calls = [(arguments, self.launch_plan.environment())] * count
        try:
            self.jobs = executor.map_array(run_worker, *zip(*calls, strict=True))
        except (RuntimeError, OSError) as error:
            raise UserError(f"--launcher slurm: the job array was not accepted: {error}") from error
        logger.warning("submitted %d workers: %s", count, ", ".join(str(job.job_id) for job in self.jobs))

    def _executor(self) -> Any:
        try:
            import submitit  # noqa: PLC0415  # an extra
        except ImportError as error:
            raise UserError("--launcher slurm: submitit is not installed; install ftsearch[slurm]") from error
        placement = self.launch_plan.placement
        options: dict[str, Any] = {name: _number(value) for name, value in placement.options.items()}
        cluster = options.pop("cluster", "slurm")
        gpus = {} if self.launch_plan.device == "cpu" else {"gpus_per_node": 1}
        try:
            executor = submitit.AutoExecutor(folder=str(self.launch_plan.folder / "slurm"), cluster=cluster)
            executor.update_parameters(name=f"ftsearch-{self.launch_plan.study}", **(gpus | options))
        except (RuntimeError, ValueError, NameError, TypeError, AssertionError) as error:
            raise UserError(f"--launcher slurm: {error}") from error
        return executor

    def alive(self) -> int:
        return sum(not job.done() for job in self.jobs)

    def stop(self) -> None:
        for job in self.jobs:
            job.cancel()

    def kill(self) -> None:
        self.stop()

    def complaint(self) -> str:
        return ""


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


launcher = Slurm
