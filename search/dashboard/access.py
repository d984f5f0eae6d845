"""Access control: this machine, or anyone with the token; headers that restrict browsers to displaying the pages."""

from __future__ import annotations

import base64
import hmac
import re
import secrets
from collections.abc import Sequence
from hashlib import sha256
from html import escape
from urllib.parse import quote

from flask import Flask, Request, Response, make_response, redirect, request

from search.dashboard.rate_limit import Guesses, source_of
from search.errors import UserError

LOOPBACK = ("127.0.0.1", "::1", "localhost")
COOKIE = "ftsearch_session"
_SHORTEST = 12
_OWN_PATH = re.compile(r"/(?:[^/\\\s\x00-\x1f\x7f][^\\\s\x00-\x1f\x7f]*)?")
"""Browsers leave out tabs and line breaks, and take ``\\`` for ``/``: what begins with two of these is another host."""


def check(host: str, token: str | None) -> None:
    """Refuse to listen without a token on an address that others can reach.

    Raises:
        UserError: ``host`` is not a loopback address and there is no token, or the token can be guessed.
    """
    if token is None and host not in LOOPBACK:
        raise UserError(
            f"--host {host} lets others in: give --token or set FTSEARCH_TOKEN, or listen on 127.0.0.1 (the default)"
        )
    if token is not None and len(token) < _SHORTEST:
        raise UserError(f"the token must have at least {_SHORTEST} characters, got {len(token)}")


def guard(server: Flask, *, host: str, token: str | None, script_hashes: Sequence[str]) -> None:
    """Let ``server`` answer only authorised requests, and send security headers with every response."""
    gate = _TokenGate(token) if token is not None else None

    @server.before_request
    def _ask() -> Response | None:
        if gate is None:
            # Another site's name that resolves to this machine must not read what is shown here (DNS rebinding).
            name = _host_name(request)
            return None if name in (*LOOPBACK, host) else make_response("This name is not served here.\n", 403)
        return None if request.path == "/login" else gate.refused(request)

    if gate is not None:
        server.add_url_rule("/login", "login", gate.login, methods=["GET", "POST"])

    scripts = " ".join(("'self'", *script_hashes))
    policy = (
        f"default-src 'none'; script-src {scripts}; style-src 'self' 'unsafe-inline'; img-src 'self' data: blob:; "
        "font-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    )

    @server.after_request
    def _headers(answer: Response) -> Response:
        answer.headers["Content-Security-Policy"] = policy
        answer.headers["X-Content-Type-Options"] = "nosniff"
        answer.headers["X-Frame-Options"] = "DENY"
        answer.headers["Referrer-Policy"] = "no-referrer"
        answer.headers["Cross-Origin-Opener-Policy"] = "same-origin"
        answer.headers["Cross-Origin-Resource-Policy"] = "same-origin"
        if "Cache-Control" not in answer.headers:
            answer.headers["Cache-Control"] = "no-store"
        return answer


def hash_of(script: str) -> str:
    """Return what allows an inline ``script`` in a content security policy."""
    return f"'sha256-{base64.b64encode(sha256(script.encode()).digest()).decode()}'"


def _host_name(incoming: Request) -> str:
    name = incoming.host.rsplit(":", 1)[0] if not incoming.host.endswith("]") else incoming.host
    return name.strip("[]").lower()


def _local(path: str) -> str:
    """Return ``path`` if it leads to one of our pages, else the first page."""
    return path if _OWN_PATH.fullmatch(path) and "//" not in path.partition("?")[0] else "/"


class _TokenGate:
    """Checks the token, and the cookie of visitors who entered it; the cookie does not contain the token."""

    def __init__(self, token: str) -> None:
        self._token = token.encode()
        self._session = hmac.new(secrets.token_bytes(32), self._token, sha256).hexdigest()
        self._guesses = Guesses()

    def refused(self, incoming: Request) -> Response | None:
        """Return the answer to a request with neither session nor token: the form for a browser; None for others.

        The token is sent as ``Authorization: Bearer``.
        """
        cookie = incoming.cookies.get(COOKIE, "")
        if hmac.compare_digest(cookie.encode(errors="replace"), self._session.encode()):
            return None
        kind, _, given = incoming.headers.get("Authorization", "").partition(" ")
        is_shown = kind.lower() == "bearer"
        answer = self._wrong(incoming, given) if is_shown else make_response("The token is missing.\n", 401)
        is_page = incoming.method == "GET" and "text/html" in incoming.headers.get("Accept", "")
        if answer is not None and answer.status_code == 401 and is_page:
            return make_response(redirect(f"/login?next={quote(_local(incoming.full_path.rstrip('?')))}"))
        return answer

    def login(self) -> Response:
        """Ask for the token; once it is given, set the cookie and go to the page that the visitor wanted."""
        wanted = _local(request.args.get("next", "/"))
        if request.method == "GET":
            return self._form(wanted, "")
        wrong = self._wrong(request, request.form.get("token", ""))
        if wrong is not None:
            return wrong if wrong.status_code == 429 else self._form(wanted, "Wrong token.", 401)
        answer = make_response(redirect(wanted))
        https = request.is_secure or request.headers.get("X-Forwarded-Proto", "") == "https"
        answer.set_cookie(COOKIE, self._session, httponly=True, samesite="Strict", secure=https, path="/")
        return answer

    def _wrong(self, incoming: Request, given: str) -> Response | None:
        """Return the response to a wrong token, or to one from a source that has to wait; None if it is right."""
        source = source_of(incoming.remote_addr or "")
        if wait_s := self._guesses.wait_s(source):
            answer = make_response(f"Too many wrong tokens; wait {wait_s} s.\n", 429)
            answer.headers["Retry-After"] = str(wait_s)
            return answer
        if hmac.compare_digest(given.encode(errors="replace"), self._token):
            self._guesses.forget(source)
            return None
        self._guesses.note(source)
        return make_response("Wrong token.\n", 401)

    @staticmethod
    def _form(wanted: str, fault: str, status: int = 200) -> Response:
        note = f"<p role='alert'>{escape(fault)}</p>" if fault else ""
        return make_response(
            "<!doctype html><html lang='en'><head><meta charset='utf-8'><title>ftsearch</title>"
            "<link rel='icon' href='data:,'>"
            "<meta name='viewport' content='width=device-width, initial-scale=1'><style>"
            ":root{color-scheme:light dark} body{font:16px/1.5 system-ui,sans-serif;max-width:26rem;margin:15vh auto;"
            "padding:0 1rem} input,button{font:inherit;padding:.4rem .6rem;width:100%;margin:.3rem 0;"
            "box-sizing:border-box}"
            f"</style></head><body><h1>ftsearch</h1>{note}"
            f"<form method='post' action='/login?next={escape(quote(wanted), quote=True)}'>"
            "<label for='token'>Token of this dashboard</label>"
            "<input id='token' name='token' type='password' autocomplete='current-password' required autofocus>"
            "<button type='submit'>Enter</button></form></body></html>",
            status,
        )
