"""The report as a browser shows and prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack
from datetime import UTC, datetime
from typing import Any

import pytest

from search.records.study import StudyRecord
from search.report import page as report
from search.report._script import PAPER

DRAWN = "() => document.documentElement.dataset.drawn === 'all'"
WIDTHS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
  plot.querySelector('.main-svg').getBoundingClientRect().width)"""


@pytest.fixture(scope="module")
def opened(
    chromium: Any, study: StudyRecord, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[int], Any]]:
    """Open the report of a study with all its figures drawn, in a window of some width."""
    path = tmp_path_factory.mktemp("report") / "report.html"
    path.write_text(report.render((study,), datetime(2026, 1, 1, tzinfo=UTC)))
    with ExitStack() as contexts:

        def open_(width: int) -> Any:
            page = contexts.enter_context(chromium.new_context(viewport={"width": width, "height": 900})).new_page()
            page.set_default_timeout(120_000)
            page.faults = []
            page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
            page.on("pageerror", lambda error: page.faults.append(str(error)))
            page.goto(path.as_uri())
            page.wait_for_function(DRAWN)
            return page

        yield open_


@pytest.fixture(scope="module")
def wide(opened: Callable[[int], Any]) -> Any:
    """The page on a desk: drawing all figures takes seconds, which the tests of this file pay once."""
    return opened(1440)


@pytest.fixture
def page(wide: Any) -> Iterator[Any]:
    """The page on a desk, whose console must stay clean."""
    yield wide
    assert wide.faults == []


def test_figures_are_laid_out_to_the_width_of_the_paper_and_back(page: Any) -> None:
    before = page.evaluate(WIDTHS)
    assert max(before) > PAPER
    page.evaluate("window.addEventListener('beforeprint', () => { window.printed = (" + WIDTHS + ")(); })")
    assert len(page.pdf(format="A4")) > 10_000
    printed = page.evaluate("window.printed")
    assert len(printed) == len(before)
    assert printed == pytest.approx([PAPER] * len(before), abs=1)
    assert page.evaluate(WIDTHS) == pytest.approx(before, abs=2)


def test_a_figures_tools_are_one_stop_and_arrows_go_through_them(page: Any) -> None:
    bars = page.locator(".modebar")
    assert bars.count() > 5
    assert page.locator(".modebar-btn").count() > 5 * bars.count()
    assert page.locator(".modebar-btn:not([tabindex='-1'])").count() == bars.count()
    bar = page.get_by_role("toolbar", name="Tools of this figure").first
    bar.locator(".modebar-btn").first.focus()
    page.keyboard.press("ArrowLeft")
    assert bar.locator(".modebar-btn").last.evaluate("button => button === document.activeElement")
    assert page.locator(".modebar-btn:not([tabindex='-1'])").count() == bars.count()


SAID = """wide => getComputedStyle(wide, '::before').content.includes('scroll sideways')
  === wide.scrollWidth > wide.clientWidth"""


def test_the_ranking_is_cards_on_a_phone(opened: Callable[[int], Any], axe: Callable[..., Any]) -> None:
    page = opened(390)
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in axe(page, "light")] == []
    ranking = page.locator(".cards").first
    assert ranking.evaluate("table => table.scrollWidth <= table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    assert page.locator(".wide").evaluate_all(f"all => all.every({SAID})"), "what is cut says that it scrolls"
    assert page.locator(".wide").evaluate_all("all => all.some(wide => wide.scrollWidth > wide.clientWidth)")
    label = "row => getComputedStyle(row.querySelector('td[data-label=trial]'), '::before').content"
    assert "trial" in ranking.locator("tbody tr").first.evaluate(label)


def test_the_contents_stay_in_view_and_close_behind_a_choice(page: Any) -> None:
    page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    contents = page.locator(".toc")
    assert contents.bounding_box()["y"] == pytest.approx(0, abs=1)
    contents.get_by_text("Contents").click()
    contents.get_by_role("link", name="Ranking").click()
    assert contents.get_attribute("open") is None
    top = page.get_by_role("heading", name="Ranking").bounding_box()["y"]
    assert 0 < top < 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(page: Any, axe: Callable[..., Any], scheme: str) -> None:
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in axe(page, scheme)] == []
