"""The dashboard's web server: waitress, kept free for real requests.

Connections cost nothing to open. So requests must be complete within seconds, however steadily they drip in; large
bodies are refused by their announced length; and if one source, or all together, hold too many connections, those that
have been idle longest are closed first.
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
    """The server's limits.

    Attributes:
        request_s: seconds for a complete request to arrive, and for a connection to stay open without one.
        body_bytes, header_bytes: of one request.
        per_source: connections per address; ``connections`` in total.
        threads: requests answered at the same time.
    """

    request_s: float = 20.0
    body_bytes: int = 2 << 20
    header_bytes: int = 32 << 10
    per_source: int = 48
    connections: int = 256
    threads: int = 6


class _Channel(HTTPChannel):  # type: ignore[misc]  # waitress has no types
    """A connection; ``waiting_since`` is when it was opened, or when its last complete request arrived."""

    def __init__(self, *arguments: Any, **options: Any) -> None:
        self.waiting_since = time.monotonic()
        super().__init__(*arguments, **options)

    @property
    def is_waiting(self) -> bool:
        """Whether there is no request, no response being computed and nothing left to send."""
        return not self.requests and not self.total_outbufs_len and not self.will_close


class Server(TcpWSGIServer):  # type: ignore[misc]  # waitress has no types
    """Lets ``application`` answer requests at the socket ``listening``; ``run`` does so until interrupted."""

    channel_class = _Channel

    def __init__(self, application: Any, listening: socket.socket, limits: ServerLimits | None = None) -> None:
        self.limits = limits or ServerLimits()
        adjustments = Adjustments(
            threads=self.limits.threads,
            ident=None,
            max_request_body_size=self.limits.body_bytes,
            max_request_header_size=self.limits.header_bytes,
            inbuf_overflow=self.limits.body_bytes + 1,  # requests are never written to disk
            outbuf_high_watermark=1 << 40,  # no thread waits for a slow reader
            connection_limit=2 * self.limits.connections,  # a last resort: room is made before
            channel_timeout=max(round(self.limits.request_s), 1),
            cleanup_interval=1,
            asyncore_use_poll=True,  # select() takes no handle above 1023
            log_socket_errors=False,
        )
        address = (listening.family, listening.type, listening.proto, listening.getsockname())
        super().__init__(application, _sock=listening, adj=adjustments, bind_socket=False, sockinfo=address)

    def add_task(self, task: Any) -> None:
        """Have a complete request answered."""
        task.waiting_since = time.monotonic()
        super().add_task(task)

    def handle_accept(self) -> None:
        """Accept a connection; make room for the next one."""
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
    """Close the longest idle of ``channels`` until at most ``most`` are left, or none is idle."""
    waiting = sorted((one for one in channels if one.is_waiting), key=lambda one: one.waiting_since)
    for channel in waiting[: max(len(channels) - most, 0)]:
        channel.handle_close()
