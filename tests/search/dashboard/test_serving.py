"""The server under visitors who hold connections, drip requests in, send too much, or take no answer."""

from __future__ import annotations

import contextlib
import http.client
import socket
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

pytest.importorskip("waitress", reason="needs ftsearch[dashboard]")

from search.dashboard.serving import Server, ServerLimits

SMALL = ServerLimits(request_s=2.0, body_bytes=1 << 16, header_bytes=1 << 12, per_source=8, connections=16, threads=2)


def application(asked: dict[str, Any], start: Callable[..., Any]) -> list[bytes]:
    body = asked["wsgi.input"].read()
    answer = b"x" * 50_000_000 if asked["PATH_INFO"] == "/large" else str(len(body)).encode()
    start("200 OK", [("Content-Length", str(len(answer)))])
    return [answer]


@pytest.fixture(params=[SMALL, ServerLimits()], ids=["small", "usual"])
def limits(request: pytest.FixtureRequest) -> ServerLimits:
    found: ServerLimits = request.param
    return found


@pytest.fixture
def port(limits: ServerLimits) -> Iterator[int]:
    """The port at which a server answers with the length of what it is sent."""
    listening = socket.create_server(("127.0.0.1", 0))
    server = Server(application, listening, limits)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    yield listening.getsockname()[1]

    def end() -> None:
        for channel in list(server.active_channels.values()):
            channel.handle_close()
        server.asyncore.close_all(server._map)

    server.task_dispatcher.shutdown()
    with contextlib.suppress(OSError):  # a channel that has just ended wakes the loop too: the pipe may be closed then
        server.trigger.pull_trigger(end)
    thread.join(10)


def asked(port: int, body: bytes = b"", path: str = "/") -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    link.request("POST", path, body)
    answer = link.getresponse()
    found = answer.status, answer.read()
    link.close()
    return found


def is_closed(link: socket.socket) -> bool:
    link.settimeout(0.2)
    try:
        return link.recv(1 << 16) == b"" or is_closed(link)
    except TimeoutError:
        return False
    except OSError:
        return True


def test_connections_without_a_request_keep_nobody_out(port: int, limits: ServerLimits) -> None:
    half = [socket.create_connection(("127.0.0.1", port)) for _ in range(120)]
    for number, link in enumerate(half):
        try:
            link.sendall(b"" if number % 2 else b"POST / HTTP/1.1\r\nContent-Length: 9\r\n\r\nhalf")
        except OSError:
            continue  # it had to make room
    begin = time.monotonic()
    assert asked(port, b"hello") == (200, b"5")
    assert time.monotonic() - begin < 2
    for link in half:
        link.close()


def test_the_longest_silent_connections_make_room(port: int, limits: ServerLimits) -> None:
    links = [socket.create_connection(("127.0.0.1", port)) for _ in range(limits.per_source + 3)]
    assert asked(port) == (200, b"0")
    assert [is_closed(link) for link in links[:3]] == [True] * 3
    if limits is not SMALL:  # the small ones' time may be up
        assert not is_closed(links[-1])
    for link in links:
        link.close()


@pytest.mark.parametrize("limits", [SMALL], indirect=True)
def test_a_request_that_drips_in_is_not_waited_for(port: int) -> None:
    link = socket.create_connection(("127.0.0.1", port))
    empty = socket.create_connection(("127.0.0.1", port))
    link.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 60000\r\n\r\n")
    begin = time.monotonic()
    while time.monotonic() - begin < 8:
        try:
            link.sendall(b"x")
            empty.sendall(b"\r\n")
        except OSError:
            break
        time.sleep(0.2)
    assert is_closed(link)
    assert is_closed(empty)
    assert time.monotonic() - begin < 8
    link.close()
    empty.close()


@pytest.mark.parametrize("limits", [SMALL], indirect=True)
def test_a_connection_may_ask_several_times(port: int) -> None:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    for pause in (1.1, 1.1, 0):  # longer together than one request may take
        link.request("GET", "/")
        assert link.getresponse().read() == b"0"
        time.sleep(pause)
    link.close()


def test_a_large_body_is_refused_before_it_is_read(port: int) -> None:
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 300000000\r\n\r\n")
    assert b"413 Request Entity Too Large" in link.recv(1 << 16)
    link.close()


def test_a_body_without_a_length_ends_at_the_limit(port: int, limits: ServerLimits) -> None:
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    link.sendall(b"POST / HTTP/1.1\r\nHost: x\r\nTransfer-Encoding: chunked\r\n\r\n")
    sent, answer = 0, b""
    chunk = b"1000\r\n" + b"x" * 4096 + b"\r\n"
    try:
        while sent < 4 * limits.body_bytes:
            link.sendall(chunk)
            sent += 4096
        answer = link.recv(1 << 16)
    except OSError:
        answer = b"413 or closed"
    assert b"413" in answer
    link.close()


@pytest.mark.parametrize("head", ["X: " + "y" * 40_000, "\r\n".join(f"X-{n}: y" for n in range(5000))])
def test_long_headers_are_refused(port: int, head: str) -> None:
    link = socket.create_connection(("127.0.0.1", port), timeout=10)
    try:
        link.sendall(f"GET / HTTP/1.1\r\nHost: x\r\n{head}\r\n\r\n".encode())
        assert b"431" in link.recv(1 << 16)
    except ConnectionError:
        pass  # refused while it was still being sent
    link.close()
    assert asked(port) == (200, b"0")


def test_who_takes_no_answer_holds_no_thread(port: int, limits: ServerLimits) -> None:
    slow = [socket.create_connection(("127.0.0.1", port)) for _ in range(limits.threads + 1)]
    for link in slow:
        link.sendall(b"GET /large HTTP/1.1\r\nHost: x\r\n\r\n")
    time.sleep(1)
    assert asked(port, b"hello") == (200, b"5")
    for link in slow:
        link.close()
