from __future__ import annotations

from dataclasses import replace

from search.dashboard.pages import trial as page
from search.dashboard.study_cache import StudyCache
from search.records.study import Evaluation, Failure, Measured, TrialState


def test_a_trial_is_shown_whole(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [3])
    text = str(page.page(study, 3))
    for expected in (
        study.trials[3].words,
        "optimizer.lr_head",
        "candidate-3.json",
        "against the plain recipe",
        "seed",
    ):
        assert expected in text


def test_what_a_trial_has_nothing_for_has_no_heading_unless_it_may_come(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [3])
    assert "Validation samples" not in str(page.page(study, 3))
    running = [replace(trial, state=TrialState.RUNNING) if trial.number == 3 else trial for trial in study.trials]
    assert "Validation samples" in str(page.page(replace(study, trials=tuple(running)), 3))


def test_it_leads_to_the_trials_beside_it(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [0, 3])
    assert "← trial 2" in (text := str(page.page(study, 3)))
    assert "trial 4 →" in text
    assert "←" not in str(page.page(study, 0))
    assert "→" not in str(page.page(replace(study, trials=study.trials[:4]), 3))


def test_only_another_trial_is_compared_with_the_plain_recipe(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [0, 3])
    assert study.baseline is not None
    assert study.baseline.number == 0
    offered = "Compare with the plain recipe"
    assert "trials=0,3" in (text := str(page.page(study, 3)))
    assert offered in text
    assert offered not in str(page.page(study, 0))
    assert offered not in str(page.page(replace(study, trials=study.trials[1:]), 3))


def test_a_failure_is_shown_with_its_traceback(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [3])
    broken = replace(study.trials[3], failure=Failure("nan", "the loss <b> is not finite", "Traceback ..."))
    text = str(page.facts(study, broken))
    assert text.index("nan: the loss <b> is not finite") < text.index(broken.words)
    assert text.count("the loss <b> is not finite") == 1
    assert "Traceback ..." in text
    assert "most likely fail again" in text


def test_a_failure_that_can_be_mended_names_the_command_and_no_empty_results(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [3])
    failed = replace(study.trials[3], state=TrialState.FAILED, value=None, failure=Failure("disk", "no space left"))
    text = str(page.facts(study, failed))
    assert "ftsearch retry drawn --trial 3" in text
    assert "Traceback" not in text
    assert "best epoch" not in text


def test_green_is_the_winners_card_and_orange_the_plain_recipes(cache: StudyCache) -> None:
    study = cache.study("drawn")
    assert study.best is not None
    assert study.baseline is not None
    for trial in study.trials[:4]:
        mark = "card winner" if trial is study.best else "card plain" if trial is study.baseline else "card"
        assert f"className='{mark}'" in str(page.facts(study, trial))
    assert "className='card winner'" in str(page.facts(study, study.best))


def test_a_missing_number_is_reported(cache: StudyCache) -> None:
    assert "No trial 999" in str(page.page(cache.study("drawn"), 999))


def test_results_in_the_tasks_own_measures_are_a_table(cache: StudyCache) -> None:
    study = cache.chosen("drawn", [3])
    found = Evaluation(measured=(Measured("ant", {"average_precision": 0.5}, 9),))
    trials = tuple(replace(trial, evaluation=found) for trial in study.trials)
    text = str(page.page(replace(study, trials=trials), 3))
    assert "Results by class" in text
    assert "average precision" in text
    assert "0.5000" in text
