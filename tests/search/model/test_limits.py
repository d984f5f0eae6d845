from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from search.model import limits
from search.model.folder import ModelFacts

NAN, INFINITE = float("nan"), float("inf")


@pytest.mark.parametrize(
    ("changes", "told"),
    [
        ({"temperature": 0.0}, "temperature: expected a number from 0.0001 to 10000, got 0.0"),
        ({"temperature": NAN}, "temperature: expected a number from 0.0001 to 10000, got nan"),
        ({"temperature": -1.0}, "temperature"),
        ({"temperature": 1e-310}, "temperature"),
        ({"classes": ("a", "\x1b]0;owned\x07")}, "control characters"),
        ({"classes": ("a", "b\r\nc")}, "control characters"),
        ({"classes": ("a", "cat\u202egpj.exe")}, "control characters"),
        ({"classes": ("a", "b" * 10**7)}, "classes: expected names of at most 1000 characters, got one of 10000000"),
        ({"classes": ("c",) * 65537}, "classes: expected 1 to 65536, got 65537"),
        ({"classes": ("a", "b", "a")}, "classes: a name is there twice"),
        ({"classes": ()}, "classes: expected 1 to 65536, got 0"),
        ({"frame": {"interpolation": "lanczos"}}, "frame.interpolation: expected bilinear or bicubic, got 'lanczos'"),
        ({"frame": {"size": (-5, 4)}}, "frame: expected sides from 1 to 32768 pixels"),
        ({"frame": {"size": (32768, 32768)}}, "16777216 pixels in all"),
        ({"frame": {"resize": (10**9, 4)}}, "frame: expected sides from 1 to 32768 pixels"),
        ({"frame": {"mean": (NAN, 0.0, 0.0)}}, "frame.mean: expected numbers from -1000 to 1000"),
        ({"frame": {"mean": (1e308, 0.0, 0.0)}}, "frame.mean"),
        ({"frame": {"std": (1.0, 0.0, 1.0)}}, "frame.std: expected numbers from 1e-06 to 1e+06"),
        ({"frame": {"std": (1.0, 1e-320, 1.0)}}, "frame.std"),
        ({"frame": {"levels": (5.0, 5.0)}}, "frame.levels: expected two numbers, the smaller first"),
        ({"frame": {"levels": (0.0, INFINITE)}}, "frame.levels"),
        ({"frame": {"levels": (NAN, 1.0)}}, "frame.levels"),
    ],
)
def test_values_that_no_model_has_are_reported(changes: dict[str, Any], told: str, stranger: ModelFacts) -> None:
    assert stranger.frame is not None
    if isinstance(frame := changes.get("frame"), dict):
        changes = {"frame": replace(stranger.frame, **frame)}
    assert told in limits.exceeded(replace(stranger, **changes))


def test_all_that_models_have_is_let_through(stranger: ModelFacts) -> None:
    names = ("häuser", "עברית", "two words", "emoji \N{DOG FACE}", "0")
    assert stranger.frame is not None
    large = replace(
        stranger.frame, size=(4096, 4096), resize=(4700, 4700), mean=(0.0,) * 3, std=(1 / 255,) * 3, levels=(0, 4095)
    )
    assert limits.exceeded(replace(stranger, classes=names, frame=large, temperature=20.0)) == ""
    assert limits.exceeded(replace(stranger, frame=None)) == ""
