from __future__ import annotations

from dataclasses import replace

import pytest

from search.records import StudyRecord
from search.report.figures.confirmation import figure


def test_seeds_have_a_mean_and_its_interval(study: StudyRecord) -> None:
    trials = list(study.trials)
    trials[1] = replace(trials[1], extras={"confirmed": [0.8, 0.9]})
    trials[2] = replace(trials[2], extras={"confirmed": [0.95]})
    rows = figure.rows(replace(study, trials=tuple(trials)))
    assert rows is not None
    assert [row.number for row in rows.candidates] == [2, 1]
    assert rows.candidates[0].margin is None
    assert rows.candidates[1].mean == pytest.approx(0.85)
    assert rows.candidates[1].margin == pytest.approx(12.71 * 0.0707107 / 2**0.5, rel=1e-3)


def test_without_fresh_seeds_it_says_so(study: StudyRecord) -> None:
    assert figure.rows(study) is None
    assert "fresh seeds" in figure.draw(None).layout.annotations[0].text.replace("<br>", " ")
