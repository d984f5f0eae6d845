from __future__ import annotations

import re
from dataclasses import replace

from by_path import module_at

from search.records.study import Repeat, StudyRecord, TrialState
from search.report.confirmed import sentences
from search.report.findings import FEWEST, findings


def make_study(count: int) -> StudyRecord:
    made: StudyRecord = module_at("search/report/conftest.py").make_study(count)
    return made


def test_sentences_come_from_the_numbers() -> None:
    study = make_study(60)
    lines = findings(study)
    assert len(lines) == 3
    assert re.search(r"units frozen \(\d+ %, 90 % interval \d+ to \d+ %", lines[0])
    best = study.ranking[: len(study.ranking) // 4]
    kept = [sum(state != "dropped" for state in trial.size.unit_states) for trial in best if trial.size]
    frozen = [trial.size.unit_states.count("frozen") for trial in best if trial.size]
    assert f"kept {min(kept)} to {max(kept)} of 8 units and froze {min(frozen)} to {max(frozen)} of them" in lines[1]
    assert "no worse than the plain recipe" in lines[2]


def test_units_are_not_counted_over_several_backbones() -> None:
    grown = make_study(60)
    assert any("units and froze" in line for line in findings(grown))
    best = grown.ranking[0]
    assert best.size is not None
    other = replace(best, size=replace(best.size, unit_states=(*best.size.unit_states, "trained")))
    trials = tuple(other if trial is best else trial for trial in grown.trials)
    assert not any("units and froze" in line for line in findings(replace(grown, trials=trials)))


def test_a_study_of_few_trials_has_learnt_nothing_yet(study: StudyRecord) -> None:
    assert len(study.ranking) < FEWEST
    (line,) = findings(study)
    assert line.endswith("have nothing in common that most of the others lack.")
    assert findings(replace(study, trials=())) == []


def test_of_a_few_trials_only_what_the_best_have_in_common_is_told(study: StudyRecord) -> None:
    words = ["a, b, c"] * 3 + ["a, b"] + ["a, d"] * 4
    done = [
        replace(study.trials[1], number=number, value=1 - number / 10, words=text, extras={})
        for number, text in enumerate(words)
    ]
    assert findings(replace(study, trials=tuple(done))) == [
        "The best 3 of 8 complete trials have in common: b, c; so have none of the other 5 (too few trials to say why)."
    ]
    done[5] = replace(done[5], words="a, b, c")
    assert "so has 1 of the other 5" in findings(replace(study, trials=tuple(done)))[0]
    done[4:7] = [replace(trial, words="a, b, c") for trial in done[4:7]]
    assert findings(replace(study, trials=tuple(done))) == [
        "The best 3 of 8 complete trials have nothing in common that most of the others lack."
    ]


def test_too_few_trials_are_said_to_be_too_few(study: StudyRecord) -> None:
    done = [replace(study.trials[1], number=number, value=0.5) for number in range(5)]
    words = "5 complete trials: too few to say what good ones have in common, which takes 6."
    assert findings(replace(study, trials=tuple(done))) == [words]


def test_what_fresh_seeds_show_is_reported_however_few_trials_there_are(study: StudyRecord) -> None:
    fresh = Repeat(1, 1, state=TrialState.COMPLETE, value=0.5)
    assert findings(replace(study, repeats=(fresh,)))[1:] == sentences(replace(study, repeats=(fresh,))) != []
