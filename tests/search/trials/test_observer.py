"""An observer that watches nothing keeps to what trials call."""

from __future__ import annotations

import inspect

from search.trials.observer import Observer, Silent


def test_silent_takes_every_call_of_an_observer() -> None:
    calls = {name: kind for name, kind in inspect.getmembers(Observer, inspect.isfunction) if not name.startswith("_")}
    assert calls
    for name, call in calls.items():
        assert inspect.signature(getattr(Silent, name)) == inspect.signature(call)
