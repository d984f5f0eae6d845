from __future__ import annotations

from dataclasses import fields
from pathlib import Path

import pytest

from search.store import DEFAULT_URL
from search.trials.observer import Silent
from search.workers.launchers import Placement
from search.workers.options import RunKeywords, RunOptions, run_options


def test_keywords_are_the_fields_and_options() -> None:
    assert set(RunKeywords.__annotations__) == {field.name for field in fields(RunOptions)} | {"options"}


def test_what_is_not_given_or_none_stays_unchanged() -> None:
    assert run_options({}).storage == DEFAULT_URL
    plain = run_options({"observer": None, "placement": None, "data": None, "workers": None})
    assert isinstance(plain.observer, Silent)
    assert (plain.placement, plain.data, plain.workers, plain.device) == (Placement(), None, None, "auto")


def test_keywords_override_options() -> None:
    options = RunOptions(device="cpu", data=Path("there"), workers=2)
    found = run_options({"options": options, "device": "cuda", "placement": Placement("ray")})
    assert (found.device, found.data, found.workers, found.placement.launcher) == ("cuda", Path("there"), 2, "ray")
    assert options.device == "cpu"


def test_an_unknown_keyword_is_refused() -> None:
    with pytest.raises(TypeError, match="devise"):
        run_options({"devise": "cpu"})  # type: ignore[typeddict-unknown-key]
