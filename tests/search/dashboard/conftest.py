"""A store of drawn trials, and a dashboard that serves it."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from by_path import module_at

pytest.importorskip("dash", reason="needs ftsearch[dashboard]")

from search.dashboard import app
from search.dashboard.study_cache import StudyCache
from search.store import readonly


@pytest.fixture(scope="session")
def filled(tmp_path_factory: pytest.TempPathFactory) -> str:
    """URL of a store with the studies ``drawn`` (120 trials) and ``other`` (40); nobody may change it."""
    url = f"sqlite:///{tmp_path_factory.mktemp('filled')}/store.db"
    module_at("benchmarks/_fill.py").fill(url, "drawn", 120, 5)
    module_at("benchmarks/_fill.py").fill(url, "other", 40, 5)
    return url


@pytest.fixture
def own(filled: str, tmp_path: Path) -> str:
    """URL of a copy of that store, to write into."""
    shutil.copytree(Path(filled.removeprefix("sqlite:///")).parent, tmp_path / "own")
    return f"sqlite:///{tmp_path}/own/store.db"


@pytest.fixture
def cache(own: str) -> StudyCache:
    return StudyCache(readonly.connect(own))


class Asked(NamedTuple):
    """A dashboard in this process, asked without a network."""

    client: Any


@pytest.fixture
def serve() -> Iterator[Callable[..., Asked]]:
    """Build dashboards over the store at a URL."""
    engines = []

    def start(url: str, **options: Any) -> Asked:
        engines.append(readonly.connect(url))
        return Asked(app.build(engines[-1], url, **options).server.test_client())

    yield start
    for engine in engines:
        engine.dispose()


def started(url: str, **variables: str) -> tuple[subprocess.Popen[str], str]:
    """Run `ftsearch dashboard` over the store at a URL in a process of its own; return it and its address."""
    program = [sys.executable, "-m", "search", "dashboard", "--storage", url, "--port", "0"]
    environment = {**os.environ, "PYTHONUNBUFFERED": "1", **variables}
    process = subprocess.Popen(program, stdout=subprocess.PIPE, text=True, env=environment)
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.search(r"http://[^ ]+", line)
    assert found, line
    return process, found[0].rstrip("/")


LIVE = """
sys.stdout.reconfigure(line_buffering=True)
from search.cli import main
from search.dashboard import app, routes
app._TICK_MS, routes._REST = 500, 0.0
sys.exit(main(["dashboard", "--storage", {url!r}, "--port", "0"]))
"""


@pytest.fixture
def live(start_program: Callable[..., BaseProcess], tmp_path: Path) -> Callable[[str], str]:
    """Run the command over a store that others write into, with pages that show it at once; returns its address."""

    def start(url: str) -> str:
        output = tmp_path / "dashboard.txt"
        process = start_program(LIVE.format(url=url), output=output)
        while not (found := re.search(r"http://[^ ]+", output.read_text() if output.exists() else "")):
            assert process.is_alive()
            time.sleep(0.05)
        return found[0].rstrip("/")

    return start


@pytest.fixture
def command() -> Iterator[Callable[..., str]]:
    """Run the command over the store at a URL; it ends with the test."""
    running = []

    def start(url: str, **variables: str) -> str:
        process, address = started(url, **variables)
        running.append(process)
        return address

    yield start
    for process in running:
        process.terminate()
        process.communicate(timeout=20)


@pytest.fixture(scope="session")
def shown(filled: str) -> Iterator[str]:
    """Address of the command over the store that nobody changes."""
    process, address = started(filled)
    yield address
    process.terminate()
    process.communicate(timeout=20)


@pytest.fixture(scope="session")
def visitor(chromium: Any) -> Iterator[Any]:
    """A visitor whose browser has loaded Dash and Plotly before: they take three seconds for each new one."""
    context = chromium.new_context(viewport={"width": 1280, "height": 900}, accept_downloads=True)
    yield context
    context.close()


@pytest.fixture
def page(visitor: Any) -> Iterator[Any]:
    """A page whose console must stay clean; what it stores in the browser is forgotten."""
    found = visitor.new_page()
    found.set_default_timeout(120_000)  # a busy machine takes its time; nothing waits when all is well
    faults: list[str] = []
    found.on("console", lambda line: faults.append(line.text) if line.type == "error" else None)
    found.on("pageerror", lambda error: faults.append(str(error)))
    found.faults = faults
    yield found
    found.evaluate("localStorage.clear()")
    found.close()
    visitor.clear_cookies()
