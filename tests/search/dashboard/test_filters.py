from __future__ import annotations

from datetime import date

import pytest
from hypothesis import given
from hypothesis import strategies as st

from search.dashboard import filters
from search.dashboard.filters import Filters
from search.dashboard.study_cache import StudyCache
from search.records.study import TrialState

DAYS = st.dates(date(2000, 1, 1), date(2100, 1, 1))
NUMBERS = st.integers(-1000, 1000).map(float)
WORDS = st.text("aé&=,x", min_size=1)
NAMES = st.sampled_from(["freeze", "optimizer.lr_head", "penalty.kind"])


@given(
    st.builds(
        Filters,
        states=st.lists(st.sampled_from(list(TrialState)), unique=True).map(tuple),
        ranges=st.dictionaries(NAMES, st.tuples(NUMBERS, st.none()) | st.tuples(NUMBERS, NUMBERS), max_size=2),
        words=st.dictionaries(st.just("head.pooling"), st.lists(WORDS, min_size=1).map(tuple)),
        since=st.none() | DAYS,
        until=st.none() | DAYS,
    )
)
def test_every_view_is_a_link(found: Filters) -> None:
    assert filters.read(found.to_query()) == found
    assert filters.read("?tab=cost&" + found.to_query()) == found


@pytest.mark.parametrize(
    ("text", "ends"),
    [
        ("2..5", (2.0, 5.0)),
        ("..5", (None, 5.0)),
        ("1e-3..", (0.001, None)),
        ("x..y", None),
        ("..", None),
        ("avg", None),
    ],
)
def test_ranges_are_read(text: str, ends: object) -> None:
    assert filters.read_range(text) == ends


def test_what_cannot_be_understood_is_not_a_condition() -> None:
    assert filters.read("state=evil&since=yesterday&nonsense=1").is_empty


def test_trials_must_meet_all_conditions(cache: StudyCache) -> None:
    study = cache.study("drawn")
    found = filters.of_inputs(["complete"], None, None, {"freeze": "3..9", "penalty.kind": ["l1", "l2"], "tail": ""})
    kept = found.apply(study).trials
    wanted = [
        trial
        for trial in study.trials
        if trial.state is TrialState.COMPLETE
        and 3 <= trial.params["freeze"] <= 9
        and trial.params["penalty.kind"] in ("l1", "l2")
    ]
    assert list(kept) == wanted
    assert 0 < len(kept) < len(study.trials)


def test_days_hold_their_whole_day(cache: StudyCache) -> None:
    study = cache.study("drawn")
    assert len(filters.read("since=2026-01-01&until=2026-01-01").apply(study).trials) == 120
    assert filters.read("until=2025-12-31").apply(study).trials == ()
