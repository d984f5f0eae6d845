from __future__ import annotations

from dataclasses import replace

import pytest
from scipy import stats

from search.records.study import Refit, Repeat, StudyRecord, TrialState
from search.report.confirmed import confirmed, lines, refit_sentence, sentences

PLAIN, BETTER, OTHER = (0.80, 0.82, 0.79, 0.81, 0.80), (0.85, 0.88, 0.83, 0.87, 0.84), (0.81, 0.80, 0.80, 0.82, 0.79)


def runs(trial: int, values: tuple[float | None, ...], **cut: float) -> list[Repeat]:
    return [
        Repeat(trial, seed, state=TrialState.COMPLETE if value is not None else TrialState.WAITING, value=value, **cut)  # type: ignore[arg-type]
        for seed, value in enumerate(values, 1)
    ]


@pytest.fixture
def fresh(study: StudyRecord) -> StudyRecord:
    return replace(study, repeats=(*runs(0, PLAIN), *runs(1, BETTER), *runs(2, OTHER)))


def test_means_intervals_and_tests_are_those_of_scipy(fresh: StudyRecord) -> None:
    best, *_, plain = sorted(confirmed(fresh), key=lambda row: row.is_baseline)
    assert best.number == 1
    assert best.mean == pytest.approx(sum(BETTER) / 5)
    half = stats.t.interval(0.95, 4, loc=0, scale=stats.sem(BETTER))[1]
    assert best.margin == pytest.approx(half)
    test = stats.ttest_rel(BETTER, PLAIN)
    assert best.against is not None
    assert best.against.p == pytest.approx(test.pvalue)
    assert best.against.margin == pytest.approx(test.confidence_interval(0.95).high - best.against.difference)
    assert plain.against is None


def test_many_comparisons_make_each_less_certain(fresh: StudyRecord) -> None:
    rows = {row.number: row.against for row in confirmed(fresh)}
    first, second = rows[1], rows[2]
    assert first is not None
    assert second is not None
    assert first.p is not None
    assert first.adjusted == pytest.approx(2 * first.p)
    assert second.adjusted == pytest.approx(max(second.p or 0.0, 2 * first.p))


def test_only_pairs_of_the_same_seed_and_fold_are_compared(study: StudyRecord) -> None:
    found = replace(study, repeats=(*runs(0, PLAIN[:3]), *runs(1, BETTER)))
    row = next(row for row in confirmed(found) if row.number == 1)
    assert row.against is not None
    assert row.against.p == pytest.approx(stats.ttest_rel(BETTER[:3], PLAIN[:3]).pvalue)


def test_folds_share_images_and_so_tell_less(study: StudyRecord) -> None:
    alone = replace(study, repeats=(*runs(0, PLAIN), *runs(1, BETTER)))
    folded = replace(study, repeats=(*runs(0, PLAIN, folds=5), *runs(1, BETTER, folds=5)))
    wide, narrow = confirmed(folded)[0], confirmed(alone)[0]
    assert wide.margin is not None
    assert narrow.margin is not None
    assert wide.margin == pytest.approx(narrow.margin * ((1 / 5 + 1 / 4) / (1 / 5)) ** 0.5)


def test_less_is_better_where_the_metric_says_so(study: StudyRecord) -> None:
    losses = replace(study, maximize=False, metric="loss", repeats=(*runs(0, BETTER), *runs(1, PLAIN)))
    best = confirmed(losses)[0]
    assert best.number == 1
    assert best.against is not None
    assert best.against.difference > 0
    assert best.drop == pytest.approx(best.mean - (best.searched or 0.0))


def test_the_selection_bias_is_named(fresh: StudyRecord) -> None:
    winner = fresh.best
    assert winner is not None
    assert winner.value is not None
    text = " ".join(sentences(replace(fresh, repeats=(*fresh.repeats, *runs(winner.number, OTHER)))))
    assert f"{100 * (winner.value - sum(OTHER) / 5):.1f} points less: the search picked a lucky" in text
    assert "paired t-test over 5 pairs" in text


def test_sentences_that_follow_each_other_name_one_winner(study: StudyRecord) -> None:
    """The best mean of fresh trainings need not win: trainings of the search count too, and calibrated losses."""
    first, second, *_ = (trial for trial in study.ranking if not trial.is_baseline)
    better = tuple(value + 0.01 for value in BETTER)
    found = replace(study, repeats=(*runs(0, PLAIN), *runs(first.number, better), *runs(second.number, BETTER)))
    found.__dict__["best"] = second
    verdict, luck, *_ = sentences(found)
    assert verdict.startswith(f"With 5 fresh trainings trial {second.number}, the winner, has accuracy ")
    assert "is best" not in verdict
    assert f"for trial {first.number}, the best value of all; with fresh seeds" in luck


def test_equal_differences_are_not_certainty(study: StudyRecord) -> None:
    found = replace(study, repeats=(*runs(0, (0.5, 0.6, 0.7)), *runs(1, (0.7, 0.8, 0.9))))
    row = confirmed(found)[0]
    assert row.against is not None
    assert row.against.p is None
    assert row.against.margin is None
    assert "0.0000" not in " ".join([*sentences(found), *lines(found)[0]])
    assert "too coarse a measure to test" in sentences(found)[0]
    assert lines(found)[0][-1] == "–"


def test_what_is_to_come_and_what_failed_is_reported(study: StudyRecord) -> None:
    failed = Repeat(1, 2, state=TrialState.FAILED, failure="out of memory")
    found = sentences(replace(study, repeats=(*runs(0, (0.5, None)), failed)))
    assert found[-1] == (
        "1 of 3 fresh trainings are still to come; 1 of 3 fresh trainings failed, the first with: out of memory."
    )
    assert sentences(study) == []


def test_fractions_are_rows_of_their_own_without_a_drop(study: StudyRecord) -> None:
    found = replace(study, repeats=(*runs(1, BETTER), *runs(1, OTHER, fraction=0.25)))
    whole, quarter = confirmed(found)
    assert (whole.fraction, quarter.fraction) == (1.0, 0.25)
    assert quarter.drop is None
    assert lines(found)[1][1] == "0.25 of the labels"


def test_only_the_first_look_at_the_test_images_is_final(study: StudyRecord) -> None:
    refit = Refit(0, 1, "words", {}, "train+val", 10, ema=True, tta=False, state=TrialState.COMPLETE)
    seen = replace(refit, test={"accuracy": 0.9}, look=1)
    assert refit_sentence(study, seen) == (
        "Refit 0 (trial 1, 10 epochs on train+val, averaged weights): accuracy 0.9000 on the test images. "
        "This is the final number."
    )
    assert "look 2 at them" in refit_sentence(study, replace(seen, look=2))
    assert "no test images" in refit_sentence(study, refit)


def test_under_three_trainings_there_is_no_interval(study: StudyRecord) -> None:
    found = replace(study, repeats=(*runs(0, (0.5, 0.6)), *runs(1, (0.7, 0.8))))
    assert [(row.margin, row.against) for row in confirmed(found)] == [(None, None)] * 2
    assert "±" not in " ".join([*sentences(found), *lines(found)[0]])
    assert "fewer than 3 pairs of trainings cannot be tested" in sentences(found)[0]


def test_equal_values_show_no_interval_however_many_they_are(study: StudyRecord) -> None:
    (row,) = confirmed(replace(study, repeats=(*runs(1, (0.8,) * 4),)))
    assert row.margin is None


def test_signs_are_those_of_the_numbers_beside_them(study: StudyRecord) -> None:
    losses = replace(study, maximize=False, metric="loss", repeats=(*runs(0, BETTER), *runs(1, PLAIN)))
    cells = lines(losses)[0]
    assert float(cells[6].split(" ")[0].replace("\u2212", "-")) == pytest.approx(0.804 - 0.854, abs=1e-4)
    assert float(cells[5].replace("\u2212", "-")) == pytest.approx(
        float(cells[3].split(" ")[0]) - float(cells[4]), abs=2e-4
    )
