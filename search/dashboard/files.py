"""Downloads: trials as CSV and JSON, a candidate's file, the HTML report."""

from __future__ import annotations

import io
import json
import re
from datetime import UTC, datetime

from flask import Flask, Response, make_response, request

from search.dashboard import filters
from search.dashboard.study_cache import StudyCache
from search.errors import FinetuneError, NotFoundError
from search.records.study import StudyRecord
from search.report import page
from search.report.gather import gather
from search.report.spreadsheet import write_table
from search.report.trial_data import finite, plain, rows


def offer(server: Flask, cache: StudyCache) -> None:
    """Let ``server`` answer under ``/download``."""

    @server.errorhandler(FinetuneError)
    def _fault(error: FinetuneError) -> Response:
        answer = make_response(f"{error}\n", 404 if isinstance(error, NotFoundError) else 500)
        answer.mimetype = "text/plain"
        return answer

    @server.get("/download/<study>/trials.csv")
    def _csv(study: str) -> Response:
        text = io.StringIO()
        write_table(text, rows(_filtered(cache, study)))
        return _file(text.getvalue(), "text/csv", f"{study}-trials.csv")

    @server.get("/download/<study>/trials.json")
    def _json(study: str) -> Response:
        data = [finite(plain(trial)) for trial in _filtered(cache, study).trials]
        return _file(json.dumps(data, ensure_ascii=False), "application/json", f"{study}-trials.json")

    @server.get("/download/<study>/candidate-<text>.json")
    def _candidate(study: str, text: str) -> Response:
        number = filters.number_of(text)
        chosen = cache.chosen(study, [] if number is None else [number])
        trial = next((trial for trial in chosen.trials if trial.number == number), None)
        if trial is None or trial.candidate is None:
            raise NotFoundError(f"study {study!r} has no trial {text:.20} with a candidate")
        content = json.dumps(trial.candidate, indent=2, ensure_ascii=False)
        return _file(content, "application/json", f"{study}-candidate-{number}.json")

    @server.get("/download/<study>/report.html")
    def _report(study: str) -> Response:
        text = page.render((gather(cache.engine, study),), datetime.now(UTC))
        return _file(text, "text/html", f"{study}-report.html")


def _filtered(cache: StudyCache, study: str) -> StudyRecord:
    return filters.read(request.query_string.decode()).apply(cache.study(study))


def _file(text: str, kind: str, name: str) -> Response:
    answer = make_response(text)
    answer.headers["Content-Type"] = f"{kind}; charset=utf-8"
    safe = re.sub(r"[^\w.-]+", "_", name, flags=re.ASCII)
    answer.headers["Content-Disposition"] = f"attachment; filename={safe}"
    return answer
