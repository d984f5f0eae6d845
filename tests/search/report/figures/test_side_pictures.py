from __future__ import annotations

from dataclasses import replace

from search.records.study import Evaluation, Picture, StudyRecord
from search.report.figures.side_pictures import figure


def test_several_trials_share_the_place_and_are_named(study: StudyRecord) -> None:
    found = Evaluation(pictures=tuple(Picture(place, f"sample {place}") for place in range(24)))
    full = replace(study, trials=tuple(replace(trial, evaluation=found) for trial in study.trials))
    rows = figure.rows(full, (1, 2))
    assert rows is not None
    assert [picture.caption for picture in rows.pictures][::4] == ["trial 1: sample 0", "trial 2: sample 0"]
    alone = figure.rows(full, (1,))
    assert alone is not None
    assert [picture.caption for picture in alone.pictures][:2] == ["sample 0", "sample 1"]


def test_trials_without_samples_say_so(study: StudyRecord) -> None:
    assert figure.rows(study, (0, 1)) is None
    assert "None of these trials" in figure.draw(None).layout.annotations[0].text
