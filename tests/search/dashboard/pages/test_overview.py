from __future__ import annotations

from dataclasses import replace

from search.dashboard.pages import overview
from search.dashboard.study_cache import StudyCache


def test_every_study_has_a_line_with_its_link(cache: StudyCache) -> None:
    text = str(overview.page(cache.summaries(), "sqlite:///x.db"))
    assert "/study/drawn" in text
    assert "120 of 120" in text
    assert "sqlite:///x.db" in text


def test_an_empty_store_says_how_to_fill_it() -> None:
    text = str(overview.page((), "sqlite:///x.db"))
    assert text.index("ftsearch init") < text.index("ftsearch plan") < text.index("ftsearch run")


def test_a_study_whose_validation_is_in_training_is_marked(cache: StudyCache) -> None:
    leaking = replace(cache.summaries()[0], leak="3 of 30 validation images are in training too")
    assert "(leaks)" not in str(overview.page(cache.summaries(), ""))
    said = str(overview.page((leaking,), ""))
    assert "(leaks)" in said
    assert leaking.leak in said
