from __future__ import annotations

import pytest
import torch
from torchvision.models.detection.image_list import ImageList
from torchvision.ops.poolers import initLevelMapper

from search.detection.detectors import Anchors, Detections, DetectorSettings, Pending, RegionLevels, stride_of
from search.detection.kinds import KINDS
from search.detection.targets import BoxRows
from spaces.chains import probe
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
    plain = {"classes": 3, "size": (64, 96), "channels": 64, "extra": 1, "sizes": sizes, "ratios": (0.5, 1.0, 2.0)}
    small = {"width": 32, "depth": 2, "proposals": 20, "samples": 16, "queries": 40, "least_score": 0.001}
    setting = DetectorSettings(**{**plain, **small, **changes})  # type: ignore[arg-type]
    return KINDS[kind](TAPS, setting, 0.0)


def maps() -> tuple[torch.Tensor, ...]:
    random = torch.Generator().manual_seed(1)
    return torch.randn(2, 24, 8, 12, generator=random), torch.randn(2, 48, 4, 6, generator=random)


@pytest.mark.parametrize("kind", KINDS)
def test_boxes_are_reported_in_shares_with_classes_from_0(kind: str) -> None:
    told = made(kind).eval()(maps())
    assert isinstance(told, Detections)
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
    assert all(parameter.grad is not None for parameter in detector.parameters() if parameter.requires_grad)


@pytest.mark.parametrize("kind", KINDS)
def test_what_it_costs_is_counted_with_the_proposals_that_are_kept(kind: str) -> None:
    shapes = [tap.shape for tap in TAPS]
    few, many = probe.run_head(made(kind), shapes), probe.run_head(made(kind, proposals=200), shapes)
    assert (many > few) is (kind == "faster_rcnn")
    assert (probe.run_head(made(kind, depth=3), shapes) > few) is (kind in ("faster_rcnn", "fcos"))
    for more in ({"queries": 20}, {"decoder_layers": 2}):
        assert (probe.run_head(made(kind, **more), shapes) < few) is (kind in ("rtdetr", "dfine"))


@pytest.mark.parametrize(
    ("side", "cells", "stride"),
    [(256, 8, 32), (240, 8, 32), (240, 4, 64), (75, 10, 8), (64, 13, 4), (224, 16, 14), (96, 8, 12), (224, 1, 256)],
)
def test_points_of_a_map_are_as_far_apart_as_the_network_halves(side: int, cells: int, stride: float) -> None:
    assert stride_of(side, cells) == stride


def test_anchors_are_centred_on_the_points_of_a_map() -> None:
    images = ImageList(torch.empty((1, 3, 240, 320), device="meta"), [(240, 320)])
    (found,) = Anchors(((32.0,),), ((1.0,),))(images, [torch.zeros(1, 4, 8, 10)])
    centres = (found[:, :2] + found[:, 2:]) / 2
    assert centres.reshape(8, 10, 2)[:, 0, 1].tolist() == [32.0 * row for row in range(8)]
    assert centres.reshape(8, 10, 2)[0, :, 0].tolist() == [32.0 * column for column in range(10)]


def test_regions_are_pooled_from_the_level_of_their_size_whatever_levels_there_are() -> None:
    regions = [torch.tensor([[0, 0, side, side] for side in (10.0, 111, 113, 224, 449, 2000)])]
    assert RegionLevels((8.0, 16.0, 32.0))(regions).tolist() == [0, 0, 0, 1, 2, 2]
    assert RegionLevels((4.0, 32.0))(regions).tolist() == [0, 0, 0, 1, 1, 1]
    # Where levels are consecutive this is what torchvision does.
    assert RegionLevels((8.0, 16.0, 32.0))(regions).tolist() == initLevelMapper(3, 5)(regions).tolist()


def test_regions_are_pooled_from_where_they_are() -> None:
    """The map holds the column's number, so that what is pooled is the place of the region's centre."""
    detector = made("faster_rcnn")
    columns = torch.arange(12.0).expand(1, 1, 8, 12).contiguous()
    pool = detector.roi_heads.box_roi_pool  # type: ignore[union-attr]
    levels = {"0": columns, "1": columns[..., ::2, ::2].contiguous()}
    found = pool(levels, [torch.tensor([[16.0, 16.0, 48.0, 48.0]])], [(64, 96)])  # type: ignore[operator]
    assert found.mean().item() == pytest.approx(32 / 8 - 0.0, abs=0.51)
