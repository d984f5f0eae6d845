from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import DatasetRecord, StudyRecord, TrialRecord, TrialState
from search.report.origin import found_by, paid


def trial(number: int, value: float | None = None, **origin: object) -> TrialRecord:
    state = TrialState.FAILED if value is None else TrialState.COMPLETE
    return TrialRecord(number, state, value, extras={"origin": origin} if origin else {})


@pytest.mark.parametrize(
    ("origin", "words"),
    [
        ({"way": "portfolio", "name": "linear probe"}, "portfolio: linear probe"),
        ({"way": "plain"}, "the plain recipe"),
        ({"way": "neighbour", "trial": 7}, "near trial 7"),
        ({"way": "prior"}, "drawn from priors"),
        ({"way": "sampler", "name": "tpe"}, "proposed by TPE"),
        ({"way": "warm", "study": "flowers", "trial": 3}, "warm start: trial 3 of flowers"),
        ({"study": "flowers", "trial": 3}, "warm start: trial 3 of flowers"),
        ({}, ""),
    ],
)
def test_every_way_has_its_words(origin: dict[str, object], words: str) -> None:
    assert found_by(trial(0, 0.5, **origin)) == words


def study(*trials: TrialRecord) -> StudyRecord:
    data = DatasetRecord("data", ("a", "b"), {"val": {"a": 5, "b": 5}}, "f")
    return StudyRecord("s", "classification", "accuracy", True, "b", "w", data, 9, trials=trials)


def test_the_best_of_every_way_is_listed_the_best_way_first() -> None:
    one = study(
        trial(0, 0.7, way="portfolio", name="x"),
        trial(1, 0.8, way="portfolio", name="y"),
        trial(2, 0.9, way="neighbour", trial=1),
        trial(3, way="prior"),
        trial(4, 0.5, way="plain"),
    )
    assert paid(one) == (
        "The best accuracy by how candidates were found: changes of good candidates 0.9000 (of 1), "
        "the portfolio 0.8000 (of 2), draws from priors none complete (of 1)."
    )
    assert paid(replace(one, trials=one.trials[:2])) == ""
