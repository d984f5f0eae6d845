from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.dashboard import trials_table
from search.dashboard.study_cache import StudyCache
from search.records.study import StudyRecord, TrialState
from search.report import wording
from search.report._script import PAPER
from search.report.figures._base import Need
from search.report.gain import lead_over_plain
from search.report.headline import headline


@pytest.fixture
def drawn(cache: StudyCache) -> StudyRecord:
    return cache.study("drawn", [Need.STRUCTURES])


def test_rows_stand_in_the_order_of_the_ranking_with_numbers_to_sort_by(drawn: StudyRecord) -> None:
    rows = trials_table.rows(drawn)
    assert len(rows) == len(drawn.trials)
    assert [row["trial"] for row in rows[: len(drawn.ranking)]] == [trial.number for trial in drawn.ranking]
    first, best = rows[0], drawn.ranking[0]
    assert first["marks"] == ["winner"]
    assert first["value"] == pytest.approx(best.value)
    assert first["text"]["value"] == wording.number(best.value)
    assert first["gain"] == pytest.approx(100 * (lead_over_plain(drawn, best) or 0))  # points, as its heading says
    assert first["text"]["gain"].startswith("+")
    assert "points" not in first["text"]["gain"]  # the heading says so once


def test_the_winners_gain_is_the_headlines(drawn: StudyRecord) -> None:
    """0.9889 less 0.96936 is 1.95 points, which rounds to 2.0; readers see 0.9694, and 1.9."""
    values = {0: 0.969359, 1: 0.9889}
    pair = replace(drawn, trials=tuple(
        replace(drawn.trials[number], value=value, state=TrialState.COMPLETE) for number, value in values.items()
    ))  # fmt: skip
    found = headline(pair)
    assert found is not None
    assert found.gain == f"{trials_table.rows(pair)[0]['text']['gain']} points" == "+1.9 points"


def test_a_structure_is_sent_as_a_letter_a_unit(drawn: StudyRecord) -> None:
    row = next(row for row in trials_table.rows(drawn) if row["trial"] == 5)
    size = drawn.trials[5].size
    assert size is not None
    assert row["strip"] == "".join(state[0] for state in size.unit_states)
    assert len(row["strip"]) == len(drawn.units)


def test_of_several_thousand_structures_each_kind_is_read_once(cache: StudyCache) -> None:
    """The table shows the structure of every trial, which an outline does not have."""
    outline = cache.study("drawn")  # with the details of the best trials
    assert not all(trial.size.unit_states for trial in outline.trials if trial.size)
    assert all(trial.size.unit_states for trial in cache.study("drawn", [Need.STRUCTURES]).trials if trial.size)


def test_what_all_candidates_share_is_reported_once(drawn: StudyRecord) -> None:
    assert "All of them: Drawn." in trials_table.summary(drawn)
    assert not any(row["words"].startswith("Drawn") for row in trials_table.rows(drawn))


def test_the_plain_recipe_and_failures_are_marked(drawn: StudyRecord) -> None:
    rows = {row["trial"]: row for row in trials_table.rows(drawn)}
    assert rows[0]["marks"] == ["plain recipe"]
    assert "gain" not in rows[0]
    failed = next(trial for trial in drawn.trials if trial.state is TrialState.FAILED)
    assert rows[failed.number]["state"] == "failed"
    assert "value" not in rows[failed.number]


def test_of_a_metric_to_minimise_less_is_a_gain(drawn: StudyRecord) -> None:
    lower = replace(drawn, metric="loss", maximize=False)
    row = trials_table.rows(lower)[0]
    assert row["gain"] > 0
    assert [one["headerName"] for one in trials_table.columns(lower) if one["field"] == "gain"] == ["gain"]


def test_parameters_are_columns_that_wait_to_be_picked(drawn: StudyRecord) -> None:
    defined = {one["field"]: one for one in trials_table.columns(drawn)}
    assert defined["param dropout.head"]["hide"]
    assert defined["param dropout.head"]["headerName"] == "dropout in the head"
    assert not defined["words"]["hide"]
    assert all(field in {"id", "marks", "text"} or field in defined for field in trials_table.rows(drawn)[0])


CELLS = """() => [...document.querySelectorAll('#trials [col-id=trial].ag-cell')].map(cell => cell.textContent)"""
HEADINGS = "() => [...document.querySelectorAll('#trials .ag-header-cell-text')].map(one => one.textContent)"


def test_the_table_is_sorted_searched_and_its_columns_are_picked(page: Any, shown: str, filled: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row a").first.wait_for()
    ranked = page.evaluate(CELLS)

    page.locator("#trials .ag-header-cell[col-id=seconds]").click()
    page.wait_for_function(f"before => ({CELLS})().join() !== before", arg=",".join(ranked))
    assert page.locator("#trials [col-id=value].ag-cell").first.evaluate(
        "cell => getComputedStyle(cell).textAlign"
    ) == ("right")

    page.get_by_label("Search").fill("l1")
    page.get_by_label("Search").fill("adamw lr 1")
    page.wait_for_function(
        "() => { const found = [...document.querySelectorAll('#trials [col-id=words].ag-cell')]; return found.length &&"
        " found.every(cell => cell.textContent.includes('adamw') && cell.textContent.includes('1')); }"
    )
    page.get_by_label("Search").fill("none has this")
    page.get_by_text("No trial is like this.").wait_for()
    page.wait_for_function("() => dash_ag_grid.getApi('trials').getDisplayedRowCount() === 1")
    page.get_by_label("Search").fill("")
    page.locator("#trials .ag-row a").first.wait_for()

    page.get_by_text("Columns", exact=True).click()
    page.get_by_label("optimizer", exact=True).check()
    page.wait_for_function(f"() => ({HEADINGS})().includes('optimizer')")
    page.get_by_label("FLOPs").uncheck()
    page.wait_for_function(f"() => !({HEADINGS})().includes('FLOPs')")
    page.get_by_text("Columns", exact=True).click()

    link = page.locator("#trials [col-id=trial] a").first
    number = link.inner_text()
    link.click()
    page.get_by_role("heading", name=f"Trial {number}").wait_for()
    assert page.faults == []


def test_a_tick_stays_that_is_set_while_an_older_choice_comes_in(page: Any, shown: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row a").first.wait_for()
    box = page.locator("#trials .ag-row input[type=checkbox]").first
    box.evaluate("box => { box.click(); window.ftsearch.tick([]); }")
    page.get_by_role("link", name="Compare 1 trials").wait_for()
    assert box.is_checked()


def test_the_table_is_asked_for_once_and_brings_no_plotly_along(page: Any, shown: str) -> None:
    asked: list[str] = []
    page.on("request", lambda request: asked.append(request.post_data or request.url))
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row").first.wait_for()
    with page.expect_request(lambda request: '"pulse.data"' in (request.post_data or "")):
        pass
    page.wait_for_timeout(300)
    assert sum("getRowsResponse" in text for text in asked) == 1
    assert not any("plotly" in text for text in asked)
    page.locator(".one[data-figure]").scroll_into_view_if_needed()
    page.locator(".js-plotly-plot .scatterlayer .trace").first.wait_for()
    assert any("plotly" in text for text in asked)
    assert page.faults == []


def test_on_paper_the_table_is_whole(page: Any, shown: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row a").first.wait_for()
    numbers, headings = page.evaluate(CELLS), page.evaluate(HEADINGS)
    page.set_viewport_size({"width": PAPER, "height": 900})
    page.emulate_media(media="print")
    page.evaluate("window.dispatchEvent(new Event('beforeprint'))")
    paper = page.locator(".paper")
    assert paper.locator("th").all_inner_texts() == [name for name in headings if name]
    listed = paper.locator("tbody td:first-child").all_inner_texts()
    assert len(listed) == 100, "all that the browser has"
    assert listed[: len(numbers)] == numbers
    assert "20 further trials are not printed" in paper.inner_text()
    words = paper.locator("td.words").first
    assert "first" in words.inner_text()
    assert words.evaluate("cell => cell.getBoundingClientRect().right") <= PAPER
    assert paper.locator(".chip.mark-winner").count() == 1
    assert paper.locator(".strip").first.get_attribute("aria-label")
    assert not page.locator("#trials").is_visible()
    page.evaluate("window.dispatchEvent(new Event('afterprint'))")
    assert paper.count() == 0
    page.emulate_media(media="screen")
    page.set_viewport_size({"width": 1280, "height": 900})
    assert page.faults == []


def test_ticks_outlive_other_pages(page: Any, shown: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=trials")
    boxes = page.locator("#trials .ag-row input[type=checkbox]")
    boxes.nth(0).check()
    boxes.nth(1).check()
    page.get_by_role("link", name="Compare 2 trials").wait_for()
    page.get_by_role("link", name="progress").click()
    page.get_by_role("link", name="Compare 2 trials").wait_for()
    page.get_by_role("link", name="trials", exact=True).click()
    page.wait_for_function("() => document.querySelectorAll('#trials .ag-row input:checked').length === 2")
    page.get_by_role("button", name="Clear").click()
    page.wait_for_function("() => document.querySelectorAll('#trials .ag-row input:checked').length === 0")
    page.get_by_role("link", name="Compare trials").wait_for()
    assert page.faults == []


BRUSH = """() => { const plot = document.querySelector('.js-plotly-plot');
  const points = plot.data.flatMap((trace, curve) => [...trace.x].map((x, place) => ({
    curveNumber: curve, pointNumber: place, pointIndex: place, x: x, y: trace.y[place], data: trace,
    fullData: plot._fullData[curve], customdata: trace.customdata && trace.customdata[place]})));
  plot.emit('plotly_selected', {points: points.filter(point => point.x === 0 && point.y >= 0.5)}); }"""


def test_brushes_of_the_parallel_coordinates_filter_the_table(page: Any, shown: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row").first.wait_for()
    page.locator(".one[data-figure]").first.scroll_into_view_if_needed()
    page.wait_for_function("() => document.querySelector('.js-plotly-plot .scatterlayer .trace')")
    page.evaluate(BRUSH)
    page.get_by_text("inside the brushes").wait_for()
    said = int(page.locator("#brushed-words").inner_text().split()[0])
    assert 0 < said < 120
    page.wait_for_function("said => dash_ag_grid.getApi('trials').getDisplayedRowCount() === said", arg=said)
    page.get_by_role("link", name="Compare trials").wait_for()  # brushing chooses nothing to compare
    page.evaluate("() => document.querySelector('.js-plotly-plot').emit('plotly_deselect')")
    page.wait_for_function("() => dash_ag_grid.getApi('trials').getDisplayedRowCount() === 120")
    assert page.faults == []
