from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from search.dashboard import access
from search.errors import UserError

TOKEN = "correct-horse-battery"
PAGE = {"Accept": "text/html"}


def test_other_machines_need_a_token() -> None:
    access.check("127.0.0.1", None)
    access.check("0.0.0.0", TOKEN)
    with pytest.raises(UserError, match="give --token"):
        access.check("0.0.0.0", None)
    with pytest.raises(UserError, match="at least 12 characters"):
        access.check("127.0.0.1", "short")


def test_without_the_token_nothing_is_shown(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    for path in ("/_dash-layout", "/download/drawn/trials.csv", "/_dash-component-suites/dash/dcc/x.js"):
        assert client.get(path).status_code == 401
    assert client.post("/_dash-update-component", json={}).status_code == 401
    answer = client.get("/study/drawn?tab=cost", headers=PAGE)
    assert answer.status_code == 302
    assert answer.headers["Location"] == "/login?next=/study/drawn%3Ftab%3Dcost"


def test_the_token_opens_and_is_never_shown(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    assert client.post("/login", data={"token": "wrong-horse-battery"}).status_code == 401
    answer = client.post("/login?next=/workers", data={"token": TOKEN})
    assert (answer.status_code, answer.headers["Location"]) == (302, "/workers")
    cookie = answer.headers["Set-Cookie"]
    assert "HttpOnly" in cookie
    assert "SameSite=Strict" in cookie
    assert "Secure" not in cookie
    assert TOKEN not in cookie
    assert client.get("/", headers=PAGE).status_code == 200
    assert TOKEN not in client.get("/", headers=PAGE).text + client.get("/_dash-layout").text


def test_behind_https_the_cookie_is_for_https_only(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    answer = client.post("/login", data={"token": TOKEN}, headers={"X-Forwarded-Proto": "https"})
    assert "Secure" in answer.headers["Set-Cookie"]


def test_a_program_shows_the_token_in_a_header(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    bearer = {"Authorization": f"Bearer {TOKEN}"}
    assert client.get("/download/drawn/trials.json", headers=bearer).status_code == 200
    assert client.get("/download/drawn/trials.json", headers={"Authorization": "Bearer no"}).status_code == 401


def guessed(client: Any, way: str, token: str, source: str = "192.0.2.1") -> Any:
    """Return the answer to a token that is shown in the form, or in a header."""
    base = {"REMOTE_ADDR": source}
    if way == "form":
        return client.post("/login", data={"token": token}, environ_base=base)
    return client.get("/_dash-layout", headers={"Authorization": f"Bearer {token}"}, environ_base=base)


@pytest.mark.parametrize("way", ["form", "header"])
def test_guessing_is_slowed(filled: str, serve: Callable[..., Any], way: str) -> None:
    client = serve(filled, token=TOKEN).client
    answers = [guessed(client, way, f"guess number {number}") for number in range(25)]
    assert [answer.status_code for answer in answers] == [401] * 5 + [429] * 20
    assert int(answers[-1].headers["Retry-After"]) == 1
    assert guessed(client, way, TOKEN).status_code == 429  # else guessing would go on as fast as before


@pytest.mark.parametrize("way", ["form", "header"])
def test_who_guesses_locks_nobody_else_out(filled: str, serve: Callable[..., Any], way: str) -> None:
    dashboard = serve(filled, token=TOKEN).client
    owner = dashboard.application.test_client()
    guessed(owner, "form", TOKEN)
    for number in range(30):
        guessed(dashboard, way, f"guess number {number}")
    assert guessed(dashboard, "form", TOKEN, "192.0.2.2").status_code == 302
    assert guessed(dashboard.application.test_client(), "header", TOKEN, "192.0.2.3").status_code == 200
    same_source = {"REMOTE_ADDR": "192.0.2.1"}
    assert owner.get("/", headers=PAGE, environ_base=same_source).status_code == 200  # by its session


def test_a_forged_source_does_not_help_guessing(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    for number in range(10):
        headers = {"Authorization": "Bearer no", "X-Forwarded-For": f"192.0.2.{number}", "Forwarded": f"for={number}"}
        answer = client.get("/_dash-layout", headers=headers)
    assert answer.status_code == 429


def test_the_form_can_be_read_while_its_source_waits(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled, token=TOKEN).client
    for number in range(10):
        guessed(client, "form", f"guess number {number}")
    assert client.get("/login", environ_base={"REMOTE_ADDR": "192.0.2.1"}).status_code == 200


EVIL = (
    *("//evil.example", "https://evil.example", "/\\evil.example", "javascript:alert(1)", "/\t/evil.example"),
    *("/\n/evil.example", "/\r\n/evil.example", "/\x00/evil.example", "\t//evil.example", "/\u2028/evil.example"),
    *("/..//evil.example", "/.//evil.example"),
    *("/\t\\evil.example", "/ /evil.example", "\\\\evil.example", "/\x0b/evil.example", "evil.example", ""),
)


@pytest.mark.parametrize("target", EVIL)
def test_a_login_leads_nowhere_else(filled: str, serve: Callable[..., Any], target: str) -> None:
    answer = serve(filled, token=TOKEN).client.post("/login", query_string={"next": target}, data={"token": TOKEN})
    assert answer.headers["Location"] == "/"


def test_another_name_for_this_machine_is_refused(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    assert client.get("/", headers={"Host": "evil.example:8080"}).status_code == 403
    for name in ("localhost:8080", "127.0.0.1:8080", "[::1]:8080"):
        assert client.get("/", headers={"Host": name}).status_code == 200


def test_every_answer_has_security_headers(filled: str, serve: Callable[..., Any]) -> None:
    client = serve(filled).client
    for path in ("/", "/_dash-layout", "/download/nothing/trials.csv"):
        headers = client.get(path).headers
        policy = headers["Content-Security-Policy"]
        assert "default-src 'none'" in policy
        scripts = next(part for part in policy.split("; ") if part.startswith("script-src"))
        assert "unsafe" not in scripts
        assert "http" not in policy
        assert "frame-ancestors 'none'" in policy
        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["X-Frame-Options"] == "DENY"
        assert headers["Referrer-Policy"] == "no-referrer"
