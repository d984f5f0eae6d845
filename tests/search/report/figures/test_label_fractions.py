from __future__ import annotations

from dataclasses import replace

from search.records.study import Repeat, StudyRecord, TrialState
from search.report.figures.label_fractions import figure


def test_a_candidate_has_a_curve_from_few_labels_to_many(study: StudyRecord) -> None:
    runs = [
        Repeat(trial, seed, 1, 1, share, TrialState.COMPLETE, value=share + 0.1 * trial, images=int(100 * share))
        for trial in (0, 1)
        for seed in (1, 2)
        for share in (1.0, 0.1, 0.5)
    ]
    rows = figure.rows(replace(study, repeats=tuple(runs)))
    assert rows is not None
    assert [(number, plain) for number, plain, _ in rows.curves] == [(1, False), (0, True)]
    assert [point.images for point in rows.curves[0][2]] == [10, 50, 100]
    assert [trace.name for trace in figure.draw(rows).data] == ["trial 1", "plain recipe"]


def test_a_single_share_is_not_a_curve(study: StudyRecord) -> None:
    run = Repeat(1, 1, state=TrialState.COMPLETE, value=0.5)
    assert figure.rows(replace(study, repeats=(run,))) is None


def test_pages_offer_it_once_shares_of_the_labels_have_been_tried(study: StudyRecord) -> None:
    run = Repeat(1, 1, state=TrialState.COMPLETE, value=0.5)
    assert not figure.is_for(replace(study, repeats=(run,)))
    assert figure.is_for(replace(study, repeats=(run, replace(run, fraction=0.5))))
