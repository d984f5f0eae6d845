from __future__ import annotations

from dataclasses import replace

import pytest

from search.records.study import StudyRecord
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


def test_samples_are_called_what_they_are(study: StudyRecord) -> None:
    dataset = replace(study.dataset, inputs="tokens", noun="texts", skipped=("line 3: empty",))
    texts = replace(study, dataset=dataset)
    assert "30 validation texts" in tables.gain_words(texts)
    assert tables.warnings(texts)[-1] == "Left out because they are broken: 1 texts."


def test_without_a_baseline_there_is_no_gain(study: StudyRecord) -> None:
    assert tables.gain(replace(study, trials=())) is None
    assert "no gain" in tables.gain_words(replace(study, trials=()))


def test_a_plain_recipe_that_wins_is_said_to(study: StudyRecord) -> None:
    assert "No candidate beat" in tables.gain_words(replace(study, trials=study.trials[:1]))


def test_states_cost_and_failures_are_counted(study: StudyRecord) -> None:
    assert tables.states(study).startswith("24 of 24 trials: 18 complete, 4 pruned, 2 failed")
    assert "epochs were saved" in tables.cost(study)
    assert [kind for kind, _, _ in tables.failures(study)] == ["nan", "nan"]


def test_differences_are_listed_and_told(study: StudyRecord) -> None:
    first, second = study.trials[0], replace(study.trials[1], params={"freeze": 3, "new": 0.123456})
    found = {row.what: row.values for row in tables.differences((first, second))}
    assert found["freeze"] == ("0", "3")
    assert found["new"] == ("–", "0.123")
    assert found["tail"] == ("0", "–")
    words = tables.difference_words(first, second)
    assert words.startswith("Trial 1 against trial 0: ")
    assert "freeze 3 instead of 0" in words
    assert "new 0.123" in words
    assert "no tail (0)" in words
    assert "the same parameters" in tables.difference_words(first, replace(first, number=9))


def test_results_show_objectives_that_no_other_row_has(study: StudyRecord) -> None:
    trials = [replace(trial, objectives={}) for trial in study.ranking[:2]]
    plain = tables.results(trials)
    values = [{study.metric: trial.value, "flops": 9.0, "latency": 2.0, "quantised": 0.5} for trial in trials]
    values[1].pop("quantised")
    own = tables.results([replace(trial, objectives=of) for trial, of in zip(trials, values, strict=True)])
    assert own[: len(plain)] == plain
    assert own[len(plain) :] == [("latency", ("2 ms", "2 ms")), ("int8 value", ("0.5000", "–"))]


def test_studies_have_a_line_each(study: StudyRecord) -> None:
    (line,) = tables.studies((study,))
    assert len(line) == len(tables.STUDIES)
    assert line[0] == "study"
    assert " ± " in line[6]


def test_a_page_begins_with_what_was_found(study: StudyRecord) -> None:
    labels = [label for _, label in tables.facts(study)]
    assert labels[0] == "best accuracy"
    assert "FLOPs of one forward pass" in labels
    assert tables.warnings(study) == []


def test_ten_thousand_trials_are_ranked_quickly(study: StudyRecord) -> None:
    many = tuple(replace(study.trials[1 + number % 20], number=number) for number in range(10_000))
    assert len(tables.ranking(replace(study, trials=many), 50)) == 50
