from __future__ import annotations

from dataclasses import replace

import pytest

from search.records import StudyRecord
from search.report import tables


def test_the_ranking_holds_every_trial_the_best_first(study: StudyRecord) -> None:
    lines = tables.ranking(study)
    assert len(lines) == len(study.trials)
    assert study.best is not None
    assert (lines[0].rank, lines[0].number) == ("1", str(study.best.number))
    assert lines[-1].state == "failed"


def test_the_gain_has_a_margin_from_the_number_of_images(study: StudyRecord) -> None:
    gain = tables.gain(study)
    assert gain is not None
    assert gain.best.value is not None
    assert gain.baseline.value is not None
    assert gain.difference == pytest.approx(gain.best.value - gain.baseline.value)
    assert gain.margin is not None
    assert 0.05 < gain.margin < 0.3
    assert "30 validation images" in tables.gain_words(study)


def test_without_a_baseline_there_is_no_gain(study: StudyRecord) -> None:
    assert tables.gain(replace(study, trials=())) is None
    assert "no gain" in tables.gain_words(replace(study, trials=()))


def test_a_plain_recipe_that_wins_is_said_to(study: StudyRecord) -> None:
    assert "No candidate beat" in tables.gain_words(replace(study, trials=study.trials[:1]))


def test_states_cost_and_failures_are_counted(study: StudyRecord) -> None:
    assert tables.states(study).startswith("24 of 24 trials: 18 complete, 4 pruned, 2 failed")
    assert "epochs were saved" in tables.cost(study)
    assert [kind for kind, _, _ in tables.failures(study)] == ["nan", "nan"]
