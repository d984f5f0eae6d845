from __future__ import annotations

import pytest
import torch
from torch.nn import functional as F

from search.detection.detectors import KINDS, Found, Pending, Setting
from search.detection.pyramid import Pyramid
from search.detection.targets import BoxRows
from spaces import probe
from spaces.heads import Tap

TAPS = (Tap(1, "a", 8, (24, 8, 12)), Tap(3, "b", 16, (48, 4, 6)))
ROWS = BoxRows(
    torch.tensor([[[0.1, 0.1, 0.6, 0.7]], [[0.0, 0.0, 0.0, 0.0]]]),
    torch.tensor([[1], [-1]]),
    torch.zeros(2, 1, dtype=torch.bool),
    torch.zeros(2, 4),
)


def made(kind: str, **changes: object) -> torch.nn.Module:
    torch.manual_seed(0)
    sizes = ((8.0,), (16.0,), (32.0,)) if kind == "fcos" else ((16.0,), (32.0,), (64.0,))
    plain = {"classes": 3, "size": (64, 96), "sizes": sizes, "ratios": (0.5, 1.0, 2.0), "width": 32, "depth": 2}
    setting = Setting(**{**plain, "proposals": 20, "samples": 16, "least_score": 0.001, **changes})  # type: ignore[arg-type]
    pyramid = Pyramid(TAPS, ((8, 12), (4, 6)), 64, 1, 0)
    return KINDS[kind](pyramid, [tap.unit for tap in TAPS], setting, 0.0, 64)


def maps() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(2, 24, 8, 12, generator=random), torch.randn(2, 48, 4, 6, generator=random)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_are_told_in_shares_with_classes_from_0(kind: str) -> None:
    told = made(kind).eval()(maps())
    assert isinstance(told, Found)
    assert len(told) == 2
    for one in told.images:
        assert one["boxes"].shape == (len(one["labels"]), 4)
        assert one["boxes"].shape[0] > 0
        assert (one["boxes"] >= 0).all()
        assert (one["boxes"] <= 1).all()
        assert set(one["labels"].tolist()) <= {0, 1, 2}


@pytest.mark.parametrize("kind", KINDS)
def test_losses_reach_every_part_and_are_finite_in_half_precision(kind: str) -> None:
    detector = made(kind)
    with torch.autocast("cpu", dtype=torch.bfloat16):
        pending = detector(maps())
        assert isinstance(pending, Pending)
        losses = detector.losses(pending.levels, ROWS)  # type: ignore[operator]
    assert all(value.dtype == torch.float32 for value in losses.values())
    total = torch.stack(list(losses.values())).sum()
    total.backward()
    assert torch.isfinite(total)
    assert all(parameter.grad is not None for parameter in detector.parameters())


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_costs_is_counted_with_the_proposals_that_are_kept(kind: str) -> None:
    shapes = [tap.shape for tap in TAPS]
    few, many = probe.run_head(made(kind), shapes), probe.run_head(made(kind, proposals=200), shapes)
    assert (many > few) is (kind == "faster_rcnn")
    assert probe.run_head(made(kind, depth=3), shapes) > few or kind == "retinanet"


def test_an_object_as_large_as_an_anchor_is_found_where_it_is() -> None:
    """One step away from its anchor the regression has nothing to do: IoU tells that boxes are in the right frame."""
    detector = made("retinanet").eval()
    levels = detector._levels(maps())  # type: ignore[operator]
    anchors = detector.model.anchor_generator(detector.images(levels), list(levels.values()))[0]  # type: ignore[union-attr,operator]
    centres = (anchors[:, :2] + anchors[:, 2:]) / 2
    assert F.relu(centres - torch.tensor([96.0, 64.0])).max() == 0
    assert centres[:, 0].max() > 80
    assert centres[:, 1].max() > 50
