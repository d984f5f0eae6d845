from __future__ import annotations

import re
from dataclasses import replace

import pytest

from search.records.study import Overlap, Repeat, Size, StudyRecord, TrialState
from search.report import headline as headlines
from search.report import structures
from search.report.gain import Proof
from search.report.headline import headline, sentence, winner_name


def valued(study: StudyRecord, *values: float, **changes: object) -> StudyRecord:
    trials = [replace(study.trials[0], number=n, value=v, is_baseline=n == 0) for n, v in enumerate(values)]
    return replace(study, trials=tuple(trials), **changes)  # type: ignore[arg-type]


def sized(study: StudyRecord, plain: int, best: int) -> StudyRecord:
    first, second = study.trials
    return replace(study, trials=(replace(first, size=Size(plain, 1, 1)), replace(second, size=Size(best, 1, 1))))


def test_five_seconds_hold_gain_values_proof_size_and_winner(study: StudyRecord) -> None:
    found = headline(sized(valued(study, 0.9784, 0.9923), 450_000, 149_000))
    assert found is not None
    assert (found.gain, found.values) == ("+1.4 points", "accuracy 0.9784 to 0.9923")
    assert (found.badge, found.proof) == ("may be chance", Proof.CHANCE)
    assert re.fullmatch(r"margin \d\.\d points on 30 validation images", found.reason)
    assert found.size == "67 % fewer parameters than the plain recipe (149 k instead of 450 k)"
    assert found.name == "trial 1"
    assert found.words.startswith("Tiny, first 0 of 8")


@pytest.mark.parametrize(
    ("plain", "best", "words"),
    [
        (1000, 320, "68 % fewer parameters than the plain recipe (320 instead of 1 k)"),
        (1000, 1500, "50 % more parameters than the plain recipe (1.5 k instead of 1 k)"),
        (1000, 3000, "3.0 times the parameters of the plain recipe (3 k instead of 1 k)"),
        (1_000_000, 1_000_100, "as many parameters as the plain recipe (1 M)"),
        (1000, 996, "0.4 % fewer parameters than the plain recipe (996 instead of 1 k)"),
    ],
)
def test_sizes_are_compared_in_words(plain: int, best: int, words: str, study: StudyRecord) -> None:
    found = headline(sized(valued(study, 0.5, 0.6), plain, best))
    assert found is not None
    assert found.size == words


def test_the_sign_is_that_of_the_numbers(study: StudyRecord) -> None:
    found = headline(valued(study, 0.4, 0.32, metric="rmse", maximize=False))
    assert found is not None
    assert (found.gain, found.values) == ("\u22120.0800", "rmse 0.4000 to 0.3200 (lower is better)")
    assert found.badge == "not tested"
    assert "has no known margin of error" in found.reason


def test_ties_are_named(study: StudyRecord) -> None:
    assert winner_name(valued(study, 0.5, 0.7, 0.7, 0.6, 0.7)) == "trial 1 (trials 2 and 4 reach the same accuracy)"
    assert winner_name(valued(study, 0.5, 0.7, 0.7)) == "trial 1 (trial 2 reaches the same accuracy)"
    assert winner_name(valued(study, 0.5, *[0.7] * 9)) == "trial 1 (8 other trials reach the same accuracy)"
    assert winner_name(valued(study, 0.7, 0.7)) == "the plain recipe (trial 0) (trial 1 reaches the same accuracy)"
    decided = replace(valued(study, 0.5, 0.7, 0.7), repeats=(Repeat(1, 1, value=0.7), Repeat(2, 1, value=0.6)))
    assert winner_name(decided) == "trial 1", "the choice is a sentence of its own"
    assert winner_name(replace(study, trials=())) == ""


def test_a_gain_above_its_margin_that_may_be_chance_says_why(study: StudyRecord) -> None:
    """Three candidates had their chance: p of each is 0.021 and, corrected, 0.062."""
    noise = (0.0, 0.03, -0.015, 0.01, 0.035)
    runs = [
        Repeat(number, seed, state=TrialState.COMPLETE, value=0.5 + (0.02 + 0.9 * one) * (number > 0))
        for number in range(4)
        for seed, one in enumerate(noise)
    ]
    found = headline(valued(study, 0.5, 0.6, 0.59, 0.58, repeats=tuple(runs)))
    assert found is not None
    assert found.badge == "may be chance"
    assert re.fullmatch(
        r"\+3\.1 points with fresh seeds, margin 2\.\d points; corrected for the number of candidates, p = 0\.0\d\d",
        found.reason,
    ), found.reason
    alone = headline(valued(study, 0.5, 0.6, repeats=tuple(run for run in runs if run.trial in (0, 1))))
    assert alone is not None
    assert (alone.badge, "corrected" in alone.reason) == ("confirmed by 5 seeds", False)


def test_fresh_seeds_and_leaks_are_reported(study: StudyRecord) -> None:
    runs = [
        Repeat(number, seed, state=TrialState.COMPLETE, value=0.5 + 0.1 * number + 0.001 * seed * number)
        for number in (0, 1)
        for seed in range(5)
    ]
    found = headline(valued(study, 0.5, 0.6, repeats=tuple(runs)))
    assert found is not None
    assert found.badge == "confirmed by 5 seeds"
    assert found.reason.startswith("+10.2 points with fresh seeds, margin 0.2 points")
    leaking = replace(study.dataset, overlaps=(Overlap("val", 3, 30, "a.png"),))
    assert "(not tested: some validation images are in training too)" in sentence(
        valued(study, 0.5, 0.6, dataset=leaking)
    )


def test_the_sentence_has_all_of_it(study: StudyRecord) -> None:
    text = sentence(valued(study, 0.5, 0.6, 0.55))
    assert re.fullmatch(
        r"accuracy 0\.5000 to 0\.6000: \+10\.0 points \(may be chance: margin \d+\.\d points for the best of 2 "
        r"candidates on 30 validation images\)\. As many parameters as the plain recipe \(1 M\)\.",
        text,
    ), text
    assert sentence(replace(study, trials=())) == "No trial is complete yet."
    broken = replace(study.trials[0], constraints={"parameters < 1": 1.0})
    assert sentence(replace(study, trials=(broken,))) == "No complete trial satisfies the constraints yet."
    failed = [replace(trial, state=TrialState.FAILED) for trial in study.trials]
    assert sentence(replace(study, trials=tuple(failed))) == "All 24 trials failed."
    assert sentence(replace(study, trials=tuple(failed[:1]))) == "The only trial failed."
    assert "none of 2 candidates beat the plain recipe" in sentence(valued(study, 0.6, 0.5, 0.5))
    alone = replace(study, trials=(replace(study.trials[0], is_baseline=False),))
    assert sentence(alone).endswith("(no comparison: the plain recipe has not been tried yet).")
    plain = replace(study.trials[0], state=TrialState.FAILED, value=None)
    compared = replace(alone, trials=(plain, *alone.trials))
    assert sentence(compared).endswith("(no comparison: the plain recipe, trial 0, failed).")
    short = replace(alone, spec={"study": {"search": {"timeout": 60}}})
    assert "was not tried, as it comes after the first few candidates" in sentence(short)
    assert "this study tries it if continued before it is past those candidates, and a new study later" in sentence(
        short
    )
    running = replace(short, trials=(*short.trials, replace(study.trials[1], state=TrialState.RUNNING)))
    assert "the plain recipe has not been tried yet" in sentence(running)


def test_lines_below_the_gain_begin_as_sentences_do(study: StudyRecord) -> None:
    shown = headline(valued(study, 0.5, 0.6))
    assert shown is not None
    assert [line.split(maxsplit=1)[0] for line in shown.lines] == ["Accuracy", "As", "Margin"]
    segmented = headline(valued(study, 0.5, 0.6, metric="miou"))
    assert segmented is not None
    assert segmented.lines[0] == "mIoU 0.5000 to 0.6000"


def test_a_winner_that_is_worse_is_called_so(study: StudyRecord) -> None:
    """The plain recipe may break a constraint that the winner keeps."""
    made = valued(study, 0.6, 0.5)
    trials = (replace(made.trials[0], constraints={"parameters < 1": 1.0}), made.trials[1])
    found = headline(replace(made, trials=trials))
    assert found is not None
    assert (found.gain, found.badge, found.proof) == ("\u221210.0 points", "worse than the plain recipe", Proof.NONE)


def test_the_strip_names_every_unit(study: StudyRecord) -> None:
    found = headline(valued(study, 0.5, 0.6))
    assert found is not None
    assert found.strip[0][:2] == ("layer0", "trained")
    assert structures.words(found.strip) == "8 units: 8 trained"
    other = headline(valued(study, 0.5, 0.6, units=()))
    assert other is not None
    assert other.strip[0][:2] == ("unit 1", "trained")
    assert headlines.headline(replace(study, trials=())) is None
