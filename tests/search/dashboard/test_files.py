from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from search.dashboard.study_cache import StudyCache


def test_trials_come_as_csv_and_json(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    answer = client.get("/download/drawn/trials.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 120
    assert {"number", "value", "freeze", "optimizer.lr_head"} <= set(rows[0])
    assert answer.headers["Content-Disposition"] == "attachment; filename=drawn-trials.csv"
    data = json.loads(client.get("/download/drawn/trials.json").text)
    assert [trial["number"] for trial in data] == list(range(120))


def test_filters_go_along(filled: str, serve: Callable[..., Any], cache: StudyCache) -> None:
    data = json.loads(serve(filled).client.get("/download/drawn/trials.json?state=complete&p.freeze=3..9").text)
    assert {trial["state"] for trial in data} == {"complete"}
    assert all(3 <= trial["params"]["freeze"] <= 9 for trial in data)
    assert 0 < len(data) < 120


def test_a_candidate_is_a_file(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    assert "structure" in json.loads(client.get("/download/drawn/candidate-3.json").text)
    assert client.get("/download/drawn/candidate-999.json").status_code == 404


@pytest.mark.parametrize("number", ["9" * 10, "9" * 23, "9" * 5000, "-1", "x", "1.0", "٣", "2147483648", " ", "1e3"])
def test_a_number_that_no_trial_has_is_not_found(filled: str, serve: Callable[..., Any], number: str) -> None:
    client = serve(filled).client
    answer = client.get(f"/download/drawn/candidate-{number}.json")
    assert answer.status_code == 404
    assert len(answer.text) < 200


@pytest.mark.parametrize("name", ["%00", "drawn%00", "x" * 3000, "%ED%A0%80", "%0d%0aX: y"])
def test_a_name_that_no_study_has_is_not_found(filled: str, serve: Callable[..., Any], name: str) -> None:
    client = serve(filled).client
    for path in ("trials.csv", "trials.json", "candidate-1.json", "report.html"):
        answer = client.get(f"/download/{name}/{path}")
        assert answer.status_code == 404
        assert "X" not in answer.headers


def test_the_report_is_the_commands(filled: str, serve: Callable[..., Any]) -> None:
    answer = serve(filled).client.get("/download/drawn/report.html")
    assert answer.text.startswith("<!doctype html>")
    assert "What the search learnt" in answer.text


def test_an_unknown_study_is_reported_as_text(filled: str, serve: Callable[..., Any]) -> None:
    answer = serve(filled).client.get("/download/%3Cb%3Edrwn/trials.csv")
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"


def test_a_report_is_filtered_by_brushes_and_keeps_the_theme_that_its_reader_chose(
    page: Any, filled: str, serve: Callable[..., Any], tmp_path: Path
) -> None:
    (tmp_path / "report.html").write_bytes(serve(filled).client.get("/download/drawn/report.html").data)
    page.goto((tmp_path / "report.html").as_uri())
    page.wait_for_function("() => document.documentElement.dataset.drawn === 'all'")
    shown = "() => [...document.querySelectorAll('tr[data-trial]')].filter(row => !row.hidden).length"
    everything = page.evaluate(shown)
    page.evaluate(
        """() => { const plot = document.querySelector('[data-figure$=parallel_coordinates]');
        const points = plot.data.flatMap(trace => [...trace.x].map((x, place) =>
          ({x: x, y: trace.y[place], customdata: trace.customdata && trace.customdata[place]})));
        plot.emit('plotly_selected', {points: points.filter(point => point.x === 0 && point.y >= 0.5)}); }"""
    )
    assert 0 < page.evaluate(shown) < everything
    page.evaluate("() => document.querySelector('[data-figure$=parallel_coordinates]').emit('plotly_deselect')")
    assert page.evaluate(shown) == everything

    back = "() => getComputedStyle(document.body).backgroundColor"
    assert page.evaluate(back) == "rgb(255, 255, 255)"
    page.get_by_role("button", name="Theme: system").click()
    page.get_by_role("button", name="Theme: light").click()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert page.evaluate(back) == "rgb(13, 17, 23)"
    page.reload()
    page.get_by_role("button", name="Theme: dark").wait_for()
    assert page.evaluate(back) == "rgb(13, 17, 23)"
    assert page.faults == []
