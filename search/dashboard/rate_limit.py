"""Limits wrong tokens by source: a few are free, then the delay grows."""

from __future__ import annotations

import math
import threading
import time
from collections import OrderedDict
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

_FREE = 5
"""Wrong tokens from one source that cost nothing."""
_LONGEST_S = 60.0
_FORGOTTEN_S = 3600.0
_SOURCES = 4096
"""Most sources to remember; the one whose last wrong token is oldest is forgotten first."""


@dataclass(slots=True)
class _Wrong:
    times: int
    last: float


@dataclass(slots=True)
class Guesses:
    """Counts wrong tokens by source; others, and visitors with a session, never wait because of them."""

    _wrong: OrderedDict[str, _Wrong] = field(default_factory=OrderedDict)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def wait_s(self, source: str) -> int:
        """Return for how many more seconds tokens of ``source`` are ignored; 0 if they are checked."""
        with self._lock:
            wrong = self._wrong.get(source)
            if wrong is None:
                return 0
            passed = time.monotonic() - wrong.last
            if passed > _FORGOTTEN_S:
                del self._wrong[source]
                return 0
            pause = 0.0 if wrong.times < _FREE else min(2.0 ** min(wrong.times - _FREE, 16), _LONGEST_S)
            return max(math.ceil(pause - passed), 0)

    def note(self, source: str) -> None:
        """Record that a token of ``source`` was checked and is wrong."""
        with self._lock:
            wrong = self._wrong.pop(source, _Wrong(0, 0.0))
            self._wrong[source] = _Wrong(wrong.times + 1, time.monotonic())
            while len(self._wrong) > _SOURCES:
                self._wrong.popitem(last=False)

    def forget(self, source: str) -> None:
        """Record that ``source`` knows the token."""
        with self._lock:
            self._wrong.pop(source, None)


def source_of(address: str) -> str:
    """Return what counts as one visitor: an IPv4 address, or the /64 network of an IPv6 one, all of which is theirs."""
    try:
        ip = ip_address(address.partition("%")[0])
    except ValueError:
        return address
    if isinstance(ip, IPv6Address):
        return str(ip.ipv4_mapped or IPv6Address(int(ip) >> 64 << 64))
    return str(ip)
