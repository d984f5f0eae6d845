from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from typing import Any

from search.dashboard.watch import Watch


def test_trials_come_as_csv_and_json(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    answer = client.get("/download/drawn/trials.csv")
    rows = list(csv.DictReader(io.StringIO(answer.text)))
    assert len(rows) == 120
    assert {"number", "value", "freeze", "optimizer.lr_head"} <= set(rows[0])
    assert answer.headers["Content-Disposition"] == "attachment; filename=drawn-trials.csv"
    data = json.loads(client.get("/download/drawn/trials.json").text)
    assert [trial["number"] for trial in data] == list(range(120))


def test_filters_go_along(filled: str, serve: Callable[..., Any], watch: Watch) -> None:
    data = json.loads(serve(filled).client.get("/download/drawn/trials.json?state=complete&p.freeze=3..9").text)
    assert {trial["state"] for trial in data} == {"complete"}
    assert all(3 <= trial["params"]["freeze"] <= 9 for trial in data)
    assert 0 < len(data) < 120


def test_a_candidate_is_a_file(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    assert "structure" in json.loads(client.get("/download/drawn/candidate-3.json").text)
    assert client.get("/download/drawn/candidate-999.json").status_code == 404


def test_the_report_is_the_commands(filled: str, serve: Callable[..., Any]) -> None:
    answer = serve(filled).client.get("/download/drawn/report.html")
    assert answer.text.startswith("<!doctype html>")
    assert "What the search learnt" in answer.text


def test_an_unknown_study_is_told_as_text(filled: str, serve: Callable[..., Any]) -> None:
    answer = serve(filled).client.get("/download/%3Cb%3Edrwn/trials.csv")
    assert answer.status_code == 404
    assert answer.mimetype == "text/plain"
