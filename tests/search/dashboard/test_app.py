"""The dashboard as a browser sees it: the command runs in its own process, Chromium looks at it."""

from __future__ import annotations

import csv
import re
import threading
from collections.abc import Callable
from dataclasses import replace
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any

import pytest

from search.dashboard.app import address_of
from search.records.study import EpochRecord, Failure, TrialState
from search.report.figures._base import Section
from search.store import connection, leases, migrate, reading, writing

TOKEN = "correct-horse-battery"


def test_no_page_asks_another_machine_for_anything(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    text = client.get("/").text
    assert not re.search(r"(src|href)=\"(https?:)?//", text)
    assert '<html lang="en">' in text


def test_the_address_to_open_is_one(filled: str) -> None:
    assert address_of("127.0.0.1", 8080) == "http://127.0.0.1:8080/"
    assert address_of("::1", 80) == "http://[::1]:80/"


SLOW = """
import time
from pathlib import Path
from search.cli import main
from search.trials.epoch_recorder import EpochRecorder
on_epoch = EpochRecorder.on_epoch
def waiting(self, record):
    while self.claim.number > 2 and not Path({seen!r}).exists():
        time.sleep(0.1)
    return on_epoch(self, record)
EpochRecorder.on_epoch = waiting
sys.exit(main({words!r}))
"""
"""A search whose fourth trial goes on once a file is there: a page may take longer to open than five small trials."""
SELECT = """() => { const plot = document.querySelector('.js-plotly-plot'); const trace = plot.data[0];
plot.emit('plotly_selected', {points: [0, 1, 2].map(place => ({curveNumber: 0, pointNumber: place, pointIndex: place,
x: trace.x[place], y: trace.y[place], data: trace, fullData: plot._fullData[0],
customdata: trace.customdata[place]}))}); }"""


def points(page: Any, figure: str = "history") -> int:
    """Return how many trials a figure shows."""
    program = (
        "name => { const plot = [...document.querySelectorAll('.js-plotly-plot')]"
        ".find(found => found.closest('[id]').id.includes(name)); if (!plot || !plot.data) return 0;"
        "return plot.data.filter(trace => trace.customdata).reduce((sum, trace) => sum + trace.x.length, 0); }"
    )
    return int(page.evaluate(program, figure))


def drawn(page: Any, figure: str, least: int) -> None:
    """Wait until a figure shows at least so many trials."""
    program = (
        "([name, least]) => { const plot = [...document.querySelectorAll('.js-plotly-plot')]"
        ".find(found => found.closest('[id]').id.includes(name)); return plot && plot.data &&"
        "plot.data.filter(trace => trace.customdata).reduce((sum, trace) => sum + trace.x.length, 0) >= least; }"
    )
    page.wait_for_function(program, arg=[figure, least])


def test_a_study_is_found_filtered_and_its_trials_compared(page: Any, shown: str, tmp_path: Any) -> None:
    url = shown
    page.goto(url)
    page.get_by_role("link", name="drawn", exact=True).click()
    page.wait_for_url(f"{url}/study/drawn")
    page.wait_for_function("() => document.title === 'drawn – ftsearch'")
    page.get_by_text(re.compile(r"^updated \d+ s ago$")).wait_for()
    drawn(page, "history", 100)
    everything = points(page)

    page.get_by_text("Filter trials").click()
    page.locator("#filter-state").get_by_text("complete").click()
    page.get_by_role("button", name="Apply").click()
    page.wait_for_url("**/study/drawn?tab=progress&state=complete")
    page.get_by_text("Filter trials (active)").wait_for()
    drawn(page, "history", 10)
    assert points(page) < everything

    with page.expect_download() as download:
        page.get_by_role("link", name="CSV").click()
    download.value.save_as(tmp_path / "trials.csv")
    with (tmp_path / "trials.csv").open() as file:
        assert {row["state"] for row in csv.DictReader(file)} == {"complete"}

    page.evaluate(SELECT)
    page.get_by_role("link", name="Compare 3 trials").wait_for()
    page.get_by_role("button", name="Clear").click()
    page.get_by_role("link", name="Compare trials").wait_for()
    page.get_by_role("link", name="trials", exact=True).click()
    for box in (0, 1):
        page.locator("#trials .ag-row input[type=checkbox]").nth(box).check()
        page.get_by_role("link", name=f"Compare {box + 1} trials").wait_for()
    page.get_by_role("link", name="Compare 2 trials").click()
    page.get_by_role("heading", name="2 trials compared").wait_for()
    drawn_curves = "() => document.querySelectorAll('.js-plotly-plot .scatterlayer .trace').length >= 2"
    page.wait_for_function(drawn_curves)
    page.reload()
    page.get_by_role("heading", name="2 trials compared").wait_for()
    assert page.faults == []


def axe_faults(page: Any, axe: Callable[..., Any], width: int, scheme: str) -> list[tuple[object, ...]]:
    """Return the serious faults of the page in a window of that width."""
    page.set_viewport_size({"width": width, "height": 900})
    worst = [one for one in axe(page, scheme) if one["impact"] in ("serious", "critical")]
    return [(width, scheme, one["id"], one["nodes"][0]["html"][:200]) for one in worst]


FIGURE = ".js-plotly-plot .main-svg"
PAGES = {
    "/": "text=drawn",
    "/workers": "text=worker-3",
    "/study/none": "h1",
    "/study/drawn/trial/3": FIGURE,
    "/study/drawn/compare?trials=1,2": FIGURE,
    **{f"/study/drawn?tab={one.value}": ".ag-row a" if one is Section.TRIALS else FIGURE for one in Section},
}
"""Every page, with what is on it once it has come."""


@pytest.mark.parametrize("path", PAGES)
def test_a_page_has_no_serious_fault_fits_a_phone_and_draws_every_figure(
    page: Any, axe: Callable[..., Any], shown: str, path: str
) -> None:
    """All of it on one opening of the page, which takes a browser seconds."""
    page.goto(f"{shown}{path}")
    page.locator(PAGES[path]).first.wait_for()
    assert axe_faults(page, axe, 1440, "light") + axe_faults(page, axe, 390, "dark") == []
    page.wait_for_function("() => document.documentElement.scrollWidth <= 390")
    for figure in page.locator(".one[data-figure]").all():
        figure.scroll_into_view_if_needed()
        figure.and_(page.locator("[data-seen]")).wait_for()
    page.wait_for_function(
        "() => [...document.querySelectorAll('.one[data-figure]')].every(one => {"
        " const plot = one.querySelector('.js-plotly-plot');"
        " return plot?.data && (plot.data.length || plot.layout.annotations); })"
    )
    assert page.faults == []


def test_a_figure_is_drawn_when_it_is_scrolled_to(page: Any, shown: str) -> None:
    page.goto(f"{shown}/study/drawn?tab=decisions")
    last = page.locator(".one[data-figure]").last
    seen = page.locator(".one[data-seen]")
    page.wait_for_function("() => document.querySelectorAll('.one[data-seen]').length > 0")
    page.wait_for_timeout(500)
    assert seen.count() < page.locator(".one[data-figure]").count()
    assert last.get_attribute("data-seen") is None
    last.scroll_into_view_if_needed()
    page.wait_for_function(
        "() => { const figure = [...document.querySelectorAll('.one[data-figure]')].at(-1);"
        " return figure.querySelector('.js-plotly-plot')?.data?.length || figure.querySelector('.annotation'); }"
    )
    assert page.faults == []


def test_the_theme_is_chosen_once_for_all_pages(page: Any, shown: str) -> None:
    back = "() => getComputedStyle(document.body).backgroundColor"
    page.goto(f"{shown}/workers")
    for name in ("system", "light"):
        page.get_by_role("button", name=f"Theme: {name}").click()
    page.get_by_role("button", name="Theme: dark").wait_for()
    page.goto(f"{shown}/study/drawn?tab=trials")
    page.locator("#trials .ag-row").first.wait_for()
    assert page.evaluate(back) == "rgb(13, 17, 23)"
    row = "() => getComputedStyle(document.querySelector('#trials .ag-row')).color"
    assert page.evaluate(row) == "rgb(230, 237, 243)"
    assert page.faults == []


def run_a_trial(url: str, ended: threading.Event) -> int:
    """Let a trial begin, run two epochs and end; return its number."""
    engine = connection.connect(url)
    record = reading.load_study(engine, "drawn", epochs=False)
    writing.create_study(engine, replace(record, target=len(record.trials) + 1, trials=()))
    claim = leases.claim(engine, "drawn", "evil <b>worker</b>", 60)
    assert claim is not None
    writing.record_candidate(
        engine, claim, writing.Started(
        optuna_number=claim.number, params={"freeze": 3}, distributions={}, candidate={}, seed=1,
        words="<script>window.evil = 1</script>", is_baseline=False, versions={}, dataset_fingerprint="",
    ))  # fmt: skip
    writing.record_epochs(engine, claim, [EpochRecord(1, 1.0, {"accuracy": 0.5})])
    if ended.is_set():
        writing.finish_trial(
            engine,
            claim,
            writing.Ended(
                state=TrialState.COMPLETE, value=0.9999, best_epoch=1, evaluation=None, ended="", seconds=1.0
            ),
        )
    else:
        writing.fail_trial(engine, claim, Failure("nan", "<script>window.evil = 1</script>"))
    engine.dispose()
    return claim.number


def test_a_new_point_appears_without_losing_the_zoom_and_opens_its_trial(
    page: Any, own: str, live: Callable[[str], str]
) -> None:
    url = live(own)
    page.goto(f"{url}/study/drawn")
    drawn(page, "history", 100)
    before = points(page)
    plot = "document.querySelector('.js-plotly-plot')"
    pane = page.locator(".js-plotly-plot .nsewdrag").first
    pane.scroll_into_view_if_needed()
    box = pane.bounding_box()
    page.mouse.move(box["x"] + 0.5 * box["width"], box["y"] + 0.05 * box["height"])
    page.mouse.down()
    page.mouse.move(box["x"] + 0.999 * box["width"], box["y"] + 0.9 * box["height"], steps=5)
    page.mouse.up()
    page.wait_for_function(f"() => {plot}.layout.xaxis.autorange === false")
    zoomed = page.evaluate(f"{plot}.layout.xaxis.range")

    ended = threading.Event()
    ended.set()
    number = run_a_trial(own, ended)
    drawn(page, "history", before + 1)
    assert page.evaluate(f"{plot}.layout.xaxis.range") == zoomed
    page.get_by_text("121 of 121 trials").first.wait_for()

    page.evaluate(
        f"number => {{ const plot = {plot}; const trace = plot.data.findIndex(found => found.customdata &&"
        " [...found.customdata].includes(number)); const place = [...plot.data[trace].customdata].indexOf(number);"
        " plot.emit('plotly_click', {points: [{curveNumber: trace, pointNumber: place, pointIndex: place,"
        " x: plot.data[trace].x[place], y: plot.data[trace].y[place], data: plot.data[trace],"
        " fullData: plot._fullData[trace], customdata: number}]}); }",
        number,
    )
    page.wait_for_url(f"**/study/drawn/trial/{number}")
    page.get_by_role("heading", name=f"Trial {number}").wait_for()
    page.get_by_text("<script>window.evil = 1</script>").first.wait_for()
    assert page.evaluate("window.evil") is None
    assert page.faults == []


def test_a_search_is_watched_from_its_start_to_its_end(
    page: Any,
    study_file: Path,
    tmp_path: Path,
    live: Callable[[str], str],
    start_program: Callable[..., BaseProcess],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    url = f"sqlite:///{tmp_path}/live/store.db"
    engine = connection.connect(url)
    migrate.upgrade(engine)
    engine.dispose()
    page.goto(live(url))
    study_file.write_text(study_file.read_text().replace("trials: 2", "trials: 5"))
    monkeypatch.chdir(tmp_path)
    seen = tmp_path / "seen"
    search = start_program(SLOW.format(seen=str(seen), words=["run", str(study_file), "--storage", url]))
    page.get_by_role("link", name="colours").first.click()
    page.get_by_role("region", name="Running now").get_by_text(re.compile("of 5 trials done")).wait_for()
    drawn(page, "history", 2)
    assert points(page) < 5
    seen.touch()
    drawn(page, "history", 5)
    search.join(120)
    assert search.exitcode == 0
    page.get_by_text("5 of 5 trials").first.wait_for()
    page.get_by_role("link", name="trials", exact=True).click()
    page.get_by_role("link", name="4", exact=True).first.click()
    page.get_by_role("heading", name="Trial 4").wait_for()
    assert page.faults == []


def test_text_of_the_store_is_shown_never_run(page: Any, own: str, live: Callable[[str], str]) -> None:
    number = run_a_trial(own, threading.Event())
    url = live(own)
    page.goto(f"{url}/study/drawn/trial/{number}")
    page.get_by_text("nan: <script>window.evil = 1</script>").wait_for()
    page.goto(f"{url}/workers")
    page.get_by_text("evil <b>worker</b>").wait_for()
    page.goto(f"{url}/study/drawn?tab=workers")
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.evaluate("window.evil") is None
    assert page.faults == []


def test_the_token_is_refused_and_accepted(page: Any, filled: str, command: Callable[..., str]) -> None:
    url = command(filled, FTSEARCH_TOKEN=TOKEN)
    page.goto(f"{url}/study/drawn?tab=cost")
    page.get_by_label("Token of this dashboard").fill("wrong-horse-battery")
    page.get_by_role("button", name="Enter").click()
    page.get_by_role("alert").wait_for()
    assert page.faults  # the browser logs the 401
    page.faults.clear()
    page.get_by_label("Token of this dashboard").fill(TOKEN)
    page.get_by_role("button", name="Enter").click()
    page.wait_for_url(f"{url}/study/drawn?tab=cost")
    page.get_by_role("heading", name="drawn").wait_for()
    page.locator(".js-plotly-plot .main-svg").first.wait_for()
    assert page.faults == []


@pytest.mark.filterwarnings("ignore")  # optuna-dashboard's own
def test_optunas_dashboard_opens_the_same_database(own: str) -> None:
    dashboard = pytest.importorskip("optuna_dashboard")
    import optuna

    storage = optuna.storages.RDBStorage(own)
    study = optuna.create_study(storage=storage, study_name="drawn", direction="maximize")
    study.optimize(lambda trial: trial.suggest_float("x", 0, 1), n_trials=2)
    answered: list[str] = []
    asked = {
        "REQUEST_METHOD": "GET", "PATH_INFO": "/api/studies", "QUERY_STRING": "", "SERVER_NAME": "localhost",
        "SERVER_PORT": "80", "wsgi.url_scheme": "http", "wsgi.input": None,
    }  # fmt: skip
    body = b"".join(dashboard.wsgi(storage)(asked, lambda status, *_: answered.append(status)))
    assert answered == ["200 OK"]
    assert b'"drawn"' in body
    storage.engine.dispose()
