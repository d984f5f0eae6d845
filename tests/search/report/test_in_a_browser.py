"""The report as a browser shows and prints it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from search.records.study import StudyRecord
from search.report import page as report
from search.report._script import PAPER

DRAWN = "() => document.documentElement.dataset.drawn === 'all'"
WIDTHS = """() => [...document.querySelectorAll('.js-plotly-plot')].map(plot =>
  plot.querySelector('.main-svg').getBoundingClientRect().width)"""


@pytest.fixture
def opened(chromium: Any, study: StudyRecord, tmp_path: Path) -> Iterator[Callable[..., Any]]:
    """Open the report of a study with all its figures drawn; its console must stay clean."""
    path, contexts = tmp_path / "report.html", []
    path.write_text(report.render((study,), datetime(2026, 1, 1, tzinfo=UTC)))

    def open_(width: int = 1440, scheme: str = "light") -> Any:
        contexts.append(chromium.new_context(viewport={"width": width, "height": 900}, color_scheme=scheme))
        page = contexts[-1].new_page()
        page.set_default_timeout(120_000)
        page.faults = []
        page.on("console", lambda line: page.faults.append(line.text) if line.type == "error" else None)
        page.on("pageerror", lambda error: page.faults.append(str(error)))
        page.goto(path.as_uri())
        page.wait_for_function(DRAWN)
        return page

    yield open_
    for context in contexts:
        context.close()


def test_figures_are_laid_out_to_the_width_of_the_paper_and_back(opened: Callable[..., Any]) -> None:
    page = opened()
    before = page.evaluate(WIDTHS)
    assert max(before) > PAPER
    page.evaluate("window.addEventListener('beforeprint', () => { window.printed = (" + WIDTHS + ")(); })")
    assert len(page.pdf(format="A4")) > 10_000
    printed = page.evaluate("window.printed")
    assert len(printed) == len(before)
    assert printed == pytest.approx([PAPER] * len(before), abs=1)
    assert page.evaluate(WIDTHS) == pytest.approx(before, abs=2)
    assert page.faults == []


def test_a_figures_tools_are_one_stop_and_arrows_go_through_them(opened: Callable[..., Any]) -> None:
    page = opened()
    bars = page.locator(".modebar")
    assert bars.count() > 5
    assert page.locator(".modebar-btn").count() > 5 * bars.count()
    assert page.locator(".modebar-btn:not([tabindex='-1'])").count() == bars.count()
    bar = page.get_by_role("toolbar", name="Tools of this figure").first
    bar.locator(".modebar-btn").first.focus()
    page.keyboard.press("ArrowLeft")
    assert bar.locator(".modebar-btn").last.evaluate("button => button === document.activeElement")
    assert page.locator(".modebar-btn:not([tabindex='-1'])").count() == bars.count()


def test_the_ranking_is_cards_on_a_phone(opened: Callable[..., Any]) -> None:
    page = opened(390)
    ranking = page.locator(".cards").first
    assert ranking.evaluate("table => table.scrollWidth <= table.clientWidth")
    assert page.evaluate("document.documentElement.scrollWidth") <= 390
    label = "row => getComputedStyle(row.querySelector('td[data-label=trial]'), '::before').content"
    assert "trial" in ranking.locator("tbody tr").first.evaluate(label)


def test_the_contents_stay_in_view_and_close_behind_a_choice(opened: Callable[..., Any]) -> None:
    page = opened()
    page.evaluate("window.scrollTo(0, document.body.scrollHeight / 2)")
    contents = page.locator(".toc")
    assert contents.bounding_box()["y"] == pytest.approx(0, abs=1)
    contents.get_by_text("Contents").click()
    contents.get_by_role("link", name="Ranking").click()
    assert contents.get_attribute("open") is None
    top = page.get_by_role("heading", name="Ranking").bounding_box()["y"]
    assert 0 < top < 300


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_axe_finds_no_fault(opened: Callable[..., Any], axe: Any, scheme: str) -> None:
    found = axe.run(opened(scheme=scheme)).response["violations"]
    assert [(one["id"], one["nodes"][0]["html"][:200]) for one in found] == []
