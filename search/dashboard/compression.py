"""Answers made small and kept by browsers: compressed once for each file, asked for again only when they changed."""

from __future__ import annotations

import gzip
from functools import lru_cache

from flask import Flask, Response, request

_COMPONENTS = "/_dash-component-suites/"
_KINDS = ("text/", "application/json", "application/javascript")
_LEAST = 1000
"""Bytes below which compression saves less than a packet."""


def offer(server: Flask) -> None:
    """Let ``server`` compress what browsers take compressed, and let them keep the components' files.

    Browsers ask whether a file is still the same, which costs no transfer: some of its addresses name no version.
    """

    @server.after_request
    def _shrink(answer: Response) -> Response:
        is_file = request.path.startswith(_COMPONENTS) and answer.status_code in (200, 304)
        if is_file:
            answer.headers.setdefault("Cache-Control", "private, no-cache")
        takes = request.accept_encodings.quality("gzip") > 0 and "Content-Encoding" not in answer.headers
        if not takes or answer.status_code != 200 or not (answer.mimetype or "").startswith(_KINDS):
            return answer
        answer.direct_passthrough = False
        data = answer.get_data()
        if len(data) >= _LEAST:
            answer.set_data(_file(data) if is_file else gzip.compress(data, 4, mtime=0))
            answer.headers["Content-Encoding"] = "gzip"
            answer.vary.add("Accept-Encoding")
        return answer


@lru_cache(64)
def _file(data: bytes) -> bytes:
    return gzip.compress(data, 6, mtime=0)
