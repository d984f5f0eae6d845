from __future__ import annotations

from collections.abc import Callable
from typing import Any


def test_backbones_are_listed_and_filtered(ftsearch: Callable[..., Any]) -> None:
    assert len(ftsearch("backbones", "--json").data) >= 80
    done = ftsearch("backbones", "--grep", "mobilenet_v3")
    assert "torchvision:mobilenet_v3_large" in done.out
    assert "resnet" not in done.out
    assert ftsearch("backbones", "--grep", "nothing").code == 2
