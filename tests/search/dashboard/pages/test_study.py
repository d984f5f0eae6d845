from __future__ import annotations

from dataclasses import replace

from search.dashboard.pages import study as page
from search.dashboard.study_cache import StudyCache
from search.records.study import Failure, Repeat, TrialState
from search.report.figures._base import Need, Section


def test_the_section_comes_from_the_address() -> None:
    assert page.section_of("?tab=cost") is Section.COST
    assert page.section_of("?tab=evil") is page.section_of("") is Section.PROGRESS


def test_it_opens_with_the_winner(cache: StudyCache) -> None:
    study = cache.study("drawn")
    assert study.best is not None
    text = str(page.page(study, "", None, ()))
    assert study.best.words in text
    assert text.index("points") < text.index("'badge ") < text.index(study.best.words) < text.index("Sections")
    strip = str(page.page(study, "", None, ()))
    assert strip.count("title='features.") == len(study.units)


def test_only_the_figures_of_its_section_are_on_it(cache: StudyCache) -> None:
    text = str(page.page(cache.study("drawn"), "?tab=structure", None, ()))
    assert "'name': 'structure_strips'" in text
    assert "'name': 'history'" not in text


def test_the_table_of_trials_is_a_section_of_its_own(cache: StudyCache) -> None:
    study = cache.study("drawn")
    assert "AgGrid" not in str(page.page(study, "", None, ()))
    assert "AgGrid" in str(page.page(study, "?tab=trials", None, ()))


def test_later_sections_begin_with_the_result_in_a_line(cache: StudyCache) -> None:
    study = cache.study("drawn")
    text = str(page.facts(study, Section.TRIALS))
    assert "points" in text
    assert "tile" not in text
    assert "No trial is complete yet" in str(page.facts(replace(study, trials=()), Section.TRIALS))
    alone = replace(study, trials=study.trials[1:])  # without the plain recipe
    assert "B('accuracy 0." in str(page.facts(alone, Section.TRIALS))


def test_an_empty_study_is_shown_too(cache: StudyCache) -> None:
    text = str(page.page(replace(cache.study("drawn"), trials=()), "", None, ()))
    assert "No trial is complete yet" in text


def test_what_was_learnt_is_reported(cache: StudyCache) -> None:
    assert "complete trials kept" in str(page.learnt(cache.study("drawn", (Need.SPACES, Need.DETAILS, Need.EPOCHS))))


def test_failures_are_on_the_study_s_page(cache: StudyCache) -> None:
    study = cache.study("drawn")
    failed = replace(study.trials[3], state=TrialState.FAILED, failure=Failure("nan", "the loss is not finite"))
    text = str(page.page(replace(study, trials=(*study.trials[:3], failed)), "", None, ()))
    assert "Failures" in text
    assert "the loss is not finite" in text
    assert "/trial/3'" in text
    assert text.index("1 of 4 trials failed (nan): the loss is not finite") < text.index("Sections")


def test_a_study_in_which_all_failed_has_failures_and_no_empty_figure(cache: StudyCache) -> None:
    study = cache.study("drawn")
    trials = tuple(
        replace(trial, state=TrialState.FAILED, value=None, failure=Failure("nan", "not finite"))
        for trial in study.trials
    )
    failed = replace(study, trials=trials)
    text = str(page.page(failed, "", None, ()))
    assert "All 120 trials failed." in text
    assert "120 of 120 trials failed (nan): not finite" in text
    assert "data-figure" not in text
    assert "data-figure" in str(page.page(replace(failed, target=121), "", None, ()))


def test_what_needs_another_command_has_no_empty_box(cache: StudyCache) -> None:
    study = cache.study("drawn")
    assert "fresh seeds" not in str(page.page(study, "", None, ()))
    fresh = replace(study, repeats=(Repeat(0, 1),))
    assert "Confirmed with fresh seeds" in str(page.page(fresh, "", None, ()))


def test_of_the_winners_results_only_those_that_there_are_have_a_heading(cache: StudyCache) -> None:
    study = cache.study("drawn")
    text = str(page.page(study, "?tab=classes", None, ()))
    assert "'name': 'confusion'" in text
    assert "'name': 'measured'" not in text
    young = replace(study, trials=())
    assert "'name': 'measured'" in str(page.page(young, "?tab=classes", None, ()))
