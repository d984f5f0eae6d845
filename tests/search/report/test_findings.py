from __future__ import annotations

from dataclasses import replace

from search.records.study import StudyRecord
from search.report.findings import findings


def test_three_sentences_come_from_the_numbers(study: StudyRecord) -> None:
    lines = findings(study)
    assert len(lines) == 3
    assert "freeze (" in lines[0]
    assert "units" in lines[1]
    assert "parameters" in lines[2]


def test_a_study_of_few_trials_says_so(study: StudyRecord) -> None:
    assert findings(replace(study, trials=())) == []
    assert "Too few" in findings(replace(study, trials=study.trials[:2]))[0]
