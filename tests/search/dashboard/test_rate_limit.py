from __future__ import annotations

import pytest

from search.dashboard import rate_limit
from search.dashboard.rate_limit import Guesses, source_of


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The current time, in a list so that a test can move it."""
    now = [1000.0]
    monkeypatch.setattr(rate_limit.time, "monotonic", lambda: now[0])
    return now


def test_every_further_wrong_token_costs_twice_the_time_up_to_a_minute(clock: list[float]) -> None:
    found = Guesses()
    waits = []
    for _ in range(14):
        found.note("a")
        waits.append(found.wait_s("a"))
        clock[0] += waits[-1]
        assert found.wait_s("a") == 0
    assert waits == [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 60, 60, 60, 60]
    assert found.wait_s("b") == 0


def test_a_correct_token_or_an_hour_of_silence_resets_the_count(clock: list[float]) -> None:
    found = Guesses()
    for _ in range(20):
        found.note("a")
        found.note("b")
    found.forget("a")
    assert found.wait_s("a") == 0
    assert found.wait_s("b") == 60
    clock[0] += 3601
    assert found.wait_s("b") == 0
    found.note("b")
    assert found.wait_s("b") == 0


def test_the_memory_of_sources_does_not_grow_for_ever() -> None:
    found = Guesses()
    for number in range(rate_limit._SOURCES + 100):
        found.note(str(number))
    assert len(found._wrong) == rate_limit._SOURCES


@pytest.mark.parametrize(
    ("address", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::"),
        ("2001:db8:1:2::", "2001:db8:1:2::"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("fe80::1%eth0", "fe80::"),
        ("", ""),
        ("localhost", "localhost"),
    ],
)
def test_a_source_is_an_address_or_an_ipv6_network(address: str, source: str) -> None:
    assert source_of(address) == source
