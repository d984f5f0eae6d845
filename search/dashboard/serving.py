"""The dashboard's web server: waitress, kept free for whoever has something to ask.

Connections cost nothing to open. So a request must be whole within seconds, however steadily it drips in; large bodies
are refused by their announced length; and where one source, or all together, hold too many connections, those that have
waited longest without a request go first.
"""

from __future__ import annotations

import socket
import time
from collections import defaultdict
from dataclasses import dataclass
from typing import Any

from waitress.adjustments import Adjustments
from waitress.channel import HTTPChannel
from waitress.server import TcpWSGIServer

from search.dashboard.rate_limit import source_of


@dataclass(frozen=True, slots=True)
class ServerLimits:
    """What the server bears.

    Attributes:
        request_s: seconds for a whole request to come in, and for a connection to stay open without one.
        body_bytes, header_bytes: of one request.
        per_source: connections of one address; ``connections`` of all together.
        threads: requests that are answered at once.
    """

    request_s: float = 20.0
    body_bytes: int = 2 << 20
    header_bytes: int = 32 << 10
    per_source: int = 48
    connections: int = 256
    threads: int = 6


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection; ``waiting_since`` is when it was opened, or when its last whole request came."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.waiting_since = time.monotonic()
        super().__init__(*arguments, **options)

    @property
    def is_waiting(self) -> bool:
        """Whether nothing is asked, nothing is being answered and nothing is left to be sent."""
        return not self.requests and not self.total_outbufs_len and not self.will_close


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Lets ``application`` answer what comes in at the socket ``listening``; ``run`` does it until interrupted."""

    channel_class = _Channel

    def __init__(self, application: Any, listening: socket.socket, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        adjustments = Adjustments(
            threads=self.limits.threads,
            ident=None,
            max_request_body_size=self.limits.body_bytes,
            max_request_header_size=self.limits.header_bytes,
            inbuf_overflow=self.limits.body_bytes + 1,  # nothing that comes in goes to the disk
            outbuf_high_watermark=1 << 40,  # no thread waits for a visitor who reads slowly
            connection_limit=2 * self.limits.connections,  # a last resort: room is made before
            channel_timeout=max(round(self.limits.request_s), 1),
            cleanup_interval=1,
            asyncore_use_poll=True,  # select() knows no handle above 1023
            log_socket_errors=False,
        )
        place = (listening.family, listening.type, listening.proto, listening.getsockname())
        super().__init__(application, _sock=listening, adj=adjustments, bind_socket=False, sockinfo=place)

    def add_task(self, task: Any) -> None:
        """Have a whole request answered."""
        task.waiting_since = time.monotonic()
        super().add_task(task)

    def handle_accept(self) -> None:
        """Take a connection; make room for the next one."""
        super().handle_accept()
        channels: list[_Channel] = list(self.active_channels.values())
        by_source: defaultdict[str, list[_Channel]] = defaultdict(list)
        for channel in channels:
            by_source[source_of(str(channel.addr[0]))].append(channel)
        for group in by_source.values():
            _thin_out(group, self.limits.per_source)
        _thin_out([channel for channel in channels if channel.connected], self.limits.connections)

    def maintenance(self, now: float) -> None:
        """Close connections that send no complete request or read no response."""
        super().maintenance(now)
        limit = time.monotonic() - self.limits.request_s
        for channel in list(self.active_channels.values()):
            if channel.is_waiting and channel.waiting_since < limit:
                channel.handle_close()


def _thin_out(channels: list[_Channel], most: int) -> None:
    """Close those of ``channels`` that have waited longest, until at most ``most`` are left, or none waits."""
    waiting = sorted((one for one in channels if one.is_waiting), key=lambda one: one.waiting_since)
    for channel in waiting[: max(len(channels) - most, 0)]:
        channel.handle_close()
