from __future__ import annotations

import time
from typing import Any

import pytest

from search.dashboard.pages import study
from search.dashboard.routes import Address, Pages
from search.dashboard.study_cache import StudyCache
from search.report.figures._base import Section


@pytest.fixture
def pages(cache: StudyCache) -> Pages:
    return Pages(cache, "sqlite:///x.db")


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "overview"),
        ("/workers", "workers"),
        ("/study/a%2Fb", "study"),
        ("/study/s/trial/3", "trial"),
        ("/study/s/trial/x", "unknown"),
        ("/study/s/compare", "compare"),
        ("/evil", "unknown"),
        (None, "overview"),
    ],
)
def test_addresses_are_read(path: str | None, kind: str) -> None:
    assert Address.of(path, None).kind == kind


@pytest.mark.parametrize(
    ("path", "title"),
    [
        ("/", "Studies – ftsearch"),
        ("/study/flowers", "flowers – ftsearch"),
        ("/study/flowers/trial/3", "Trial 3 · flowers – ftsearch"),
        ("/study/flowers/compare", "1, 2 compared · flowers – ftsearch"),
        ("/evil", "ftsearch"),
    ],
)
def test_a_tab_is_named_after_its_page(path: str, title: str) -> None:
    assert Address.of(path, "?trials=1,2").title == title


def test_names_with_slashes_survive() -> None:
    assert Address.of("/study/a%2Fb", "").study == "a/b"
    assert Address.of("/study/s/trial/3", "").numbers == [3]


def test_the_figures_of_a_page_are_chosen_once_and_the_first_is_drawn(
    pages: Pages, monkeypatch: pytest.MonkeyPatch
) -> None:
    chosen, kinds = [], study.kinds
    monkeypatch.setattr(study, "kinds", lambda *given: chosen.append(given[1]) or kinds(*given))
    pages.page(Address.of("/study/drawn", "?tab=classes"), [])
    assert chosen == [Section.CLASSES]
    first = kinds(pages.cache.study("drawn"), Section.CLASSES)[0]
    assert [key[1] for key in pages._drawn] == [first.name]


def test_a_missing_study_is_reported(pages: Pages) -> None:
    assert "did you mean" in str(pages.page(Address.of("/study/drwn", ""), []))
    assert "No page has this address" in str(pages.page(Address.of("/evil", ""), []))


def test_a_figure_is_drawn_once_for_every_state_of_its_study(pages: Pages) -> None:
    address = Address.of("/study/drawn", "")
    assert pages.drawing(address, "history", 0) is pages.drawing(address, "history", 0)
    assert pages.drawing(address, "history", 1).version != pages.drawing(address, "history", 0).version


def test_changes_are_announced_only_after_a_rest_that_grows_with_their_cost(pages: Pages) -> None:
    address = Address.of("/study/drawn", "")
    now = pages.pulse(address)
    assert pages.announced(address, "earlier") == pages.announced(address, "") == now
    begin = time.monotonic()
    with pages._counted("drawn"):
        time.sleep(0.2)
    assert pages._rests_until["drawn"] - begin > 1
    assert pages.announced(address, "earlier") == "earlier"
    assert pages.announced(address, None) == now  # who has just opened the page
    assert pages.announced(Address.of("/study/other", ""), "earlier") != "earlier"
    pages._rests_until["drawn"] = time.monotonic()
    assert pages.announced(address, "earlier") == now


def test_the_table_of_trials_waits_for_no_figure(pages: Pages) -> None:
    pages.page(Address.of("/study/drawn", "?tab=trials"), [])
    assert not pages._drawn


def test_filters_change_what_is_drawn(pages: Pages) -> None:
    everything = pages.drawing(Address.of("/study/drawn", ""), "timeline", 0)
    few = pages.drawing(Address.of("/study/drawn", "?state=pruned"), "timeline", 0)
    assert {trace["name"] for trace in everything.figure["data"]} >= {"complete", "pruned"}
    assert "complete" not in {trace["name"] for trace in few.figure["data"]}


def test_what_was_learnt_is_worked_out_once(pages: Pages) -> None:
    address = Address.of("/study/drawn", "")
    assert pages.learnt(address) is pages.learnt(address)


@pytest.mark.parametrize("path", ["/", "/workers", "/study/drawn", "/study/drawn/trial/3", "/study/drawn/compare"])
def test_every_page_has_a_pulse_that_rests_while_nothing_happens(pages: Pages, path: str) -> None:
    address = Address.of(path, "")
    assert pages.pulse(address) == pages.pulse(address)
    assert pages.page(address, []) is not None


@pytest.mark.parametrize("path", [None, 5, [], {}, True])
@pytest.mark.parametrize("query", [None, 5, []])
def test_what_is_not_an_address_is_the_first_page(path: Any, query: Any) -> None:
    assert Address.of(path, query) == Address("overview")


@pytest.mark.parametrize("number", ["9" * 10, "9" * 5000, "-1", "x", "²", "٣"])
def test_a_number_that_no_trial_has_is_not_a_page(number: str) -> None:
    assert Address.of(f"/study/s/trial/{number}", "").kind == "unknown"
    assert Address.of("/study/s/compare", f"?trials=1,{number},2").numbers == [1, 2]
