"""Studies made of drawn numbers, for figures and pages."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

import pytest
from by_path import module_at

from search.records.backbone_ranking import BackboneScore, Layer, Ranking
from search.records.study import (
    ClassResult,
    DatasetRecord,
    EpochRecord,
    Evaluation,
    Failure,
    Size,
    StudyRecord,
    TrialRecord,
    TrialState,
    UnitRecord,
)

BEGIN = datetime(2026, 1, 1, tzinfo=UTC)
UNITS = 8


def make_trial(number: int, rng: random.Random, classes: tuple[str, ...], maximize: bool = True) -> TrialRecord:
    freeze, tail = (0, 0) if number == 0 else (rng.randrange(UNITS), rng.randrange(3))
    rate = 10 ** rng.uniform(-4, -1)
    quality = 0.95 - 0.03 * abs(freeze - 3) - 0.02 * tail + rng.uniform(-0.02, 0.02)
    state = TrialState.PRUNED if number % 5 == 4 else TrialState.FAILED if number % 11 == 10 else TrialState.COMPLETE
    epochs = tuple(
        EpochRecord(epoch, 2 / epoch, {"accuracy": quality * (1 - 0.4 / epoch), "loss": 1 / epoch}, {"head": rate})
        for epoch in range(1, 3 if state is TrialState.PRUNED else 6)
    )
    value = (
        None if state is TrialState.FAILED else epochs[-1].metrics["accuracy" if maximize else "loss"] + 1e-4 * number
    )
    count = len(classes)
    confusion = tuple(
        tuple(8 if row == column else int(abs(row - column) == 1) for column in range(count)) for row in range(count)
    )
    states = ("frozen",) * freeze + ("trained",) * max(UNITS - freeze - tail, 0)
    return TrialRecord(
        number=number,
        state=state,
        value=value,
        params={"freeze": freeze, "tail": tail, "optimizer.name": "sgd" if rate > 0.01 else "adamw"},
        distributions={
            "freeze": '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 7}}',
            "tail": '{"name": "IntDistribution", "attributes": {"log": false, "step": 1, "low": 0, "high": 2}}',
            "optimizer.name": '{"name": "CategoricalDistribution", "attributes": {"choices": ["sgd", "adamw"]}}',
        },
        candidate={"structure": {"choices": {"freeze": freeze, "tail": tail}}, "recipe": {"choices": {}}},
        words=f"Tiny, first {freeze} of {UNITS} units frozen, last {tail} dropped",
        is_baseline=number == 0,
        epochs=epochs,
        best_epoch=epochs[-1].epoch,
        size=Size(10**6 - 10**5 * tail, 10**5, 10**7, (states + ("dropped",) * UNITS)[:UNITS]),
        evaluation=Evaluation(tuple(ClassResult(name, 0.8, 0.8, 0.8, 10) for name in classes), confusion),
        ended="ran all 5 epochs",
        failure=Failure("nan", "the loss is not finite <b>", "") if state is TrialState.FAILED else None,
        started_at=BEGIN + timedelta(minutes=number),
        finished_at=BEGIN + timedelta(minutes=number + 0.9),
        seconds=50.0,
    )


def make_study(
    count: int = 24, classes: tuple[str, ...] = ("ant", "bee", "cow"), maximize: bool = True, **changes: object
) -> StudyRecord:
    rng = random.Random(0)
    plain: dict[str, object] = {
        "name": "study",
        "task": "classification",
        "metric": "accuracy" if maximize else "loss",
        "maximize": maximize,
        "backbone": "test:tiny",
        "weights": "random",
        "dataset": DatasetRecord(
            "pets", classes, {"train": dict.fromkeys(classes, 30), "val": dict.fromkeys(classes, 10)}, "f" * 64
        ),
        "target": 24,
        "spec": {"study": {"training": {"epochs": 5}}},
        "spec_text": "name: study # <script>alert(1)</script>",
        "units": tuple(UnitRecord(f"layer{place}", 1000, 10**6, 2) for place in range(UNITS)),
        "trials": tuple(make_trial(number, rng, classes, maximize) for number in range(count)),
        "created_at": BEGIN,
        "versions": {"torch": "2"},
    }
    return StudyRecord(**(plain | changes))  # type: ignore[arg-type]


@pytest.fixture(scope="session")
def study() -> StudyRecord:
    return make_study()


@pytest.fixture(scope="session")
def stored(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a store with a study ``drawn`` of 120 trials."""
    url = f"sqlite:///{tmp_path_factory.mktemp('stored')}/store.db"
    module_at("benchmarks/_fill.py").fill(url, "drawn", 120, 5)
    return url


@pytest.fixture
def ranking() -> Ranking:
    """Three backbones; the middle one has no classes of its own, the large one's features fit best half-way."""

    def backbone_score(label: str, cost: int, score: float, scores: dict[str, float]) -> BackboneScore:
        layers = (
            Layer("stem", 0.5, 8, {"logme": score + (0.1 if label == "large" else -0.1)}),
            Layer("last", 1.0, 16, {"logme": score}),
        )
        size, accuracy = (64, 64), None if label == "middle" else 70.0
        return BackboneScore(
            f"test:{label}", label, "W1", size, cost, 10 * cost, cost / 1e6, accuracy, {"logme": score} | scores, layers
        )

    backbone_scores = (
        backbone_score("large", 9_000_000, 0.9, {"hscore": -0.1}),
        backbone_score("middle", 5_000_000, 0.1, {}),
        backbone_score("small", 1_000_000, 0.2, {"hscore": -0.5}),
    )
    return Ranking(
        *("flowers", "flowers", 100, 3, "cpu", {"logme": "LogME", "hscore": "H-score"}, backbone_scores),
        left_out=(("test:none", "no weights here <sorry>"),),
        tried={"test:large": 0.95, "test:middle": 0.8, "test:small": 0.85},
        metric="accuracy",
    )
