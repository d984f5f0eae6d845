"""Fills a store with studies of drawn numbers: ours beside Optuna's, as many trials as are asked for.

    python tests/benchmarks/_fill.py URL NAME TRIALS [EPOCHS]

Numbers come from a response surface with a known optimum, so that figures have something to find. Optuna's rows are
written through Optuna itself (``optuna=True``), in the same database: its dashboard can be measured on the same trials.
"""

from __future__ import annotations

import json
import random
import sys
import time
from datetime import UTC, datetime, timedelta

from sqlalchemy import insert, select

from search.records.study import DatasetRecord, StudyRecord, UnitRecord
from search.store import connection, migrate, urls, writing
from search.store.tables import EpochRow, StudyRow, TrialRow

UNITS, CLASSES, BEGIN = 19, 5, datetime(2026, 1, 1, tzinfo=UTC)
_INT = '{{"name": "IntDistribution", "attributes": {{"log": false, "step": 1, "low": 0, "high": {}}}}}'
_FLOAT = '{{"name": "FloatDistribution", "attributes": {{"step": null, "low": {}, "high": {}, "log": {}}}}}'
_CHOICE = '{{"name": "CategoricalDistribution", "attributes": {{"choices": {}}}}}'
SPACES = {
    "freeze": _INT.format(UNITS - 1),
    "tail": _INT.format(6),
    "head.hidden": _INT.format(2),
    "head.pooling": _CHOICE.format('["avg", "max", "avgmax"]'),
    "dropout.head": _FLOAT.format(0.0, 0.5, "false"),
    "kernel.0": _CHOICE.format('["keep", "5x5 features.2-3", "5x5 features.4-6"]'),
    "penalty.kind": _CHOICE.format('["none", "l1", "l2"]'),
    "optimizer.name": _CHOICE.format('["sgd", "adamw"]'),
    "optimizer.lr_head": _FLOAT.format(1e-4, 1e-1, "true"),
    "optimizer.lr_backbone": _FLOAT.format(1e-5, 1e-2, "true"),
}


def study(name: str, trials: int, epochs: int) -> StudyRecord:
    """Return the study that is filled."""
    classes = tuple(f"class {place}" for place in range(CLASSES))
    counts = {"train": dict.fromkeys(classes, 200), "val": dict.fromkeys(classes, 80)}
    return StudyRecord(
        name, "classification", "accuracy", True, "test:drawn", "random", DatasetRecord("drawn", classes, counts, "0"),
        trials, spec={"study": {"training": {"epochs": epochs}}, "base": "."}, spec_text=f"name: {name}", identity={},
        units=tuple(UnitRecord(f"features.{place}", 10**5, 10**7, 2) for place in range(UNITS)), created_at=BEGIN,
        versions={"ftsearch": "benchmark"},
    )  # fmt: skip


def drawn(number: int, epochs: int) -> tuple[dict, list[dict]]:
    """Return the columns of trial ``number`` and of its epochs."""
    rng = random.Random(number)
    params: dict[str, object] = {
        "freeze": rng.randrange(UNITS), "tail": rng.randrange(7), "head.hidden": rng.randrange(3),
        "head.pooling": rng.choice(["avg", "max", "avgmax"]), "dropout.head": round(rng.uniform(0, 0.5), 4),
        "kernel.0": rng.choice(["keep", "5x5 features.2-3", "5x5 features.4-6"]),
        "penalty.kind": rng.choice(["none", "l1", "l2"]), "optimizer.name": rng.choice(["sgd", "adamw"]),
        "optimizer.lr_head": 10 ** rng.uniform(-4, -1), "optimizer.lr_backbone": 10 ** rng.uniform(-5, -2),
    }  # fmt: skip
    freeze, tail = (0, 0) if number == 0 else (int(str(params["freeze"])), int(str(params["tail"])))
    params |= {"freeze": freeze, "tail": tail}
    quality = 0.95 - 0.0015 * (freeze - 8) ** 2 - 0.01 * tail - 0.02 * (params["penalty.kind"] == "l1")
    quality += rng.gauss(0, 0.01)
    kind = rng.random()
    state = "failed" if kind < 0.02 else "pruned" if kind < 0.5 else "complete"
    ran = epochs if state == "complete" or number == 0 else rng.randrange(1, max(epochs // 3, 2))
    state = "complete" if number == 0 else state
    curve = [
        {
            "epoch": epoch, "train_loss": 2 / epoch, "seconds": 1.5, "learning_rates": {"head": 1e-3, "backbone": 1e-4},
            "metrics": {"accuracy": quality * (1 - 0.5 / epoch), "loss": 1.5 / epoch, "macro_f1": quality * 0.9},
            "loss_terms": {"task": 2 / epoch},
        }
        for epoch in range(1, ran + 1)
    ]  # fmt: skip
    states = ["frozen"] * freeze + ["trained"] * max(UNITS - tail - freeze, 0)
    states = (states + ["dropped"] * UNITS)[:UNITS]
    confusion = [[60 if row == column else 5 for column in range(CLASSES)] for row in range(CLASSES)]
    result = {"precision": 0.75, "recall": 0.75, "f1": 0.75, "support": 80}
    begin = BEGIN + timedelta(seconds=8 * number)
    trial = {
        "number": number, "state": state, "value": None if state == "failed" else curve[-1]["metrics"]["accuracy"],
        "optuna_number": number, "params": params, "distributions": SPACES,
        "candidate": {"structure": {"choices": {"freeze": freeze, "tail": tail}}, "recipe": {"choices": params}},
        "words": f"Drawn, last {tail} dropped, first {freeze} of {UNITS} units frozen, {params['optimizer.name']} "
                 f"lr {params['optimizer.lr_head']:.1e} head, {params['optimizer.lr_backbone']:.1e} backbone",
        "is_baseline": number == 0, "seed": number, "best_epoch": ran, "parameters": 3_500_000 - 300_000 * tail,
        "trained": 3_000_000 - 150_000 * freeze, "flops": 600_000_000 - 40_000_000 * tail, "unit_states": states,
        "evaluation": {"classes": [{"name": f"class {place}", **result} for place in range(CLASSES)],
                       "confusion": confusion, "mistakes": []},
        "ended": f"ran all {ran} epochs", "versions": {"torch": "2.14.1", "optuna": "5.0.0"},
        "failure_kind": "nan" if state == "failed" else None,
        "failure_message": "the loss is not finite" if state == "failed" else None,
        "dataset_fingerprint": "0" * 64, "extras": {"device": "cpu", "micro_batch": 32}, "started_at": begin,
        "finished_at": begin + timedelta(seconds=1.5 * ran + 2), "seconds": 1.5 * ran + 2.0,
        "worker": f"worker-{number % 8}", "attempts": 1 + (number % 97 == 3), "lost": 0,
    }  # fmt: skip
    return trial, curve


def fill(url: str, name: str, trials: int, epochs: int = 20, first: int = 0, optuna: bool = False) -> None:
    """Write trials ``first`` up to ``trials`` of the study ``name``, made if it is not there."""
    engine = connection.connect(url)
    migrate.upgrade(engine)
    writing.create_study(engine, study(name, trials, epochs))
    for begin in range(first, trials, 500):
        found = [drawn(number, epochs) for number in range(begin, min(begin + 500, trials))]
        with connection.writing(engine) as link:
            owner = link.execute(select(StudyRow.id).where(StudyRow.name == name)).scalar_one()
            link.execute(insert(TrialRow), [{"study_id": owner, **trial} for trial, _ in found])
            ids = dict(
                link.execute(
                    select(TrialRow.number, TrialRow.id).where(TrialRow.study_id == owner, TrialRow.number >= begin)
                ).all()
            )
            link.execute(
                insert(EpochRow),
                [{"trial_id": ids[trial["number"]], **record} for trial, curve in found for record in curve],
            )
    engine.dispose()
    if optuna:
        fill_optuna(url, name, trials, epochs, first)


def fill_optuna(url: str, name: str, trials: int, epochs: int, first: int = 0) -> None:
    """Write the same trials into Optuna's own tables."""
    import optuna
    from optuna.distributions import json_to_distribution
    from optuna.trial import TrialState, create_trial

    optuna.logging.set_verbosity(optuna.logging.ERROR)
    storage = optuna.storages.RDBStorage(urls.str_url(url))
    target = optuna.create_study(storage=storage, study_name=name, direction="maximize", load_if_exists=True)
    spaces = {parameter: json_to_distribution(text) for parameter, text in SPACES.items()}
    states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
    for number in range(first, trials):
        trial, curve = drawn(number, epochs)
        target.add_trial(
            create_trial(
                state=states[trial["state"]],
                value=trial["value"] if trial["state"] == "complete" else None,
                params=trial["params"],
                distributions=spaces,
                intermediate_values={record["epoch"]: record["metrics"]["accuracy"] for record in curve},
            )
        )
    storage.engine.dispose()


if __name__ == "__main__":
    begin = time.perf_counter()
    url, name, trials, *rest = sys.argv[1:]
    fill(url, name, int(trials), int(rest[0]) if rest else 20)
    seconds = round(time.perf_counter() - begin, 1)
    sys.stdout.write(json.dumps({"study": name, "trials": int(trials), "seconds": seconds}) + "\n")
