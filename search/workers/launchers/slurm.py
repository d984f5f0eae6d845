"""Workers as a Slurm job array, written and submitted through submitit; the cluster runs them when it has room."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from search.errors import RunError, UserError
from search.workers.launchers._base import Launcher, LaunchPlan, run_worker

logger = logging.getLogger(__name__)


class Slurm(Launcher):
    """A job array whose tasks run ``ftsearch worker``; Slurm's SIGTERM before the time limit hands trials back.

    Settings come from ``--launcher-option``: ``partition=gpu``, ``timeout_min=240``, ``cpus_per_task=8`` and all
    others of submitit (https://github.com/facebookincubator/submitit).

    The storage URL, which may hold a password, reaches the workers as an environment variable that ``sbatch`` takes
    over (its default, ``--export=ALL``): Slurm keeps it where only root and its own account can read. submitit pickles
    what it is given into a folder, so it is not given the URL.
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
        environment = self.launch_plan.environment()
        try:
            with _exported(environment):
                self.jobs = executor.map_array(_work, [arguments] * count, [tuple(environment)] * count)
        except (RuntimeError, OSError) as error:
            from search.store.url_secrets import hide  # noqa: PLC0415  # jobs need no SQLAlchemy

            # What a cluster's own checks of jobs print may hold the environment, so it is not chained either.
            reason = hide(str(error), self.launch_plan.storage)
            raise UserError(f"--launcher slurm: the job array was not accepted: {reason}") from None
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
            executor = submitit.AutoExecutor(folder=str(_private(self.launch_plan.folder / "slurm")), cluster=cluster)
            executor.update_parameters(name=f"ftsearch-{self.launch_plan.study}", **(gpus | options))
        except (RuntimeError, ValueError, NameError, TypeError, AssertionError, OSError) as error:
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


def _private(folder: Path) -> Path:
    """Return ``folder``, created if need be and readable by its owner only: workers execute its pickles."""
    folder.mkdir(parents=True, exist_ok=True)
    folder.chmod(0o700)
    return folder


@contextmanager
def _exported(environment: Mapping[str, str]) -> Iterator[None]:
    """Add ``environment`` to this process's own within the context, for ``sbatch`` to take over."""
    before = {name: os.environ.get(name) for name in environment}
    os.environ.update(environment)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _work(arguments: Sequence[str], exported: Sequence[str]) -> int:
    """Run a worker in a job and return its exit code.

    Raises:
        RunError: the cluster did not hand on a variable of the names ``exported``.
    """
    if missing := [name for name in exported if name not in os.environ]:
        raise RunError(
            f"--launcher slurm: {missing[0]} did not reach the job; submit with `--export=ALL`, "
            "or set it where jobs start"
        )
    return run_worker(arguments, {})


def _number(text: str) -> int | str:
    return int(text) if text.isdigit() else text


launcher = Slurm
