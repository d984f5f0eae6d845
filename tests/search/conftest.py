"""A browser for the pages of reports and of the dashboard."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator
from typing import Any

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
)


@pytest.fixture(scope="session")
def chromium() -> Iterator[Any]:
    """A headless Chromium."""
    if CHROMIUM is None:
        pytest.skip("no Chromium on this machine; apt-get install chromium")
    playwright = pytest.importorskip("playwright.sync_api", reason="needs playwright")
    with playwright.sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=list(ARGUMENTS))
        yield browser
        browser.close()


Axe = Callable[..., list[dict[str, Any]]]


@pytest.fixture(scope="session")
def axe() -> Axe:
    """Return a page's faults in names, roles, headings, landmarks, contrast (https://github.com/dequelabs/axe-core).

    In the dark scheme only contrast is looked at: nothing else changes with it.
    """
    checker = pytest.importorskip("axe_playwright_python.sync_playwright", reason="needs axe-playwright-python").Axe()

    def look(page: Any, scheme: str) -> list[dict[str, Any]]:
        page.emulate_media(color_scheme=scheme)
        rules = {"runOnly": ["color-contrast"]} if scheme == "dark" else {}
        found: list[dict[str, Any]] = checker.run(page, None, {"resultTypes": ["violations"], **rules}).response[
            "violations"
        ]
        return found

    return look
