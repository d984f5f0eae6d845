from __future__ import annotations

import gzip
from collections.abc import Callable
from typing import Any

PLOTLY = "/_dash-component-suites/plotly/package_data/plotly.min.js"


def test_responses_are_compressed_for_clients_that_accept_it(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    plain = client.get(PLOTLY)
    small = client.get(PLOTLY, headers={"Accept-Encoding": "gzip, br"})
    assert "Content-Encoding" not in plain.headers
    assert small.headers["Content-Encoding"] == "gzip"
    assert "Accept-Encoding" in small.headers["Vary"]
    assert gzip.decompress(small.data) == plain.data
    assert 3 * len(small.data) < len(plain.data)
    assert int(small.headers["Content-Length"]) == len(small.data)
    missing = client.get("/_dash-component-suites/dash/dcc/none.js", headers={"Accept-Encoding": "gzip"})
    assert "Content-Encoding" not in missing.headers


def test_a_file_is_sent_once_and_then_only_asked_for(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    first = client.get(PLOTLY, headers={"Accept-Encoding": "gzip"})
    assert first.headers["Cache-Control"] == "private, no-cache"
    again = client.get(PLOTLY, headers={"Accept-Encoding": "gzip", "If-None-Match": first.headers["ETag"]})
    assert (again.status_code, again.data) == (304, b"")


def test_what_is_read_from_the_store_is_kept_by_nobody(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    answer = client.get("/download/drawn/trials.json", headers={"Accept-Encoding": "gzip"})
    assert answer.headers["Content-Encoding"] == "gzip"
    assert answer.headers["Cache-Control"] == "no-store"
