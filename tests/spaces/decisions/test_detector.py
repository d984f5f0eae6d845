from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.detector import Range, decision
from spaces.detector import FACT, PLAIN_STYLE, PretrainedDetector
from spaces.networks.draws import FromPrior
from spaces.networks.space import Random, Space


def test_the_chain_remembers_the_kind(tiny: Pretrained) -> None:
    assert decision.apply(tiny.chain, "fcos").facts["detector"] == "fcos"
    assert "detector" not in tiny.chain.facts


def test_only_detection_has_it(tiny: Pretrained) -> None:
    assert "detector" in Space(tiny, {}, "detection").decisions
    assert "detector" not in Space(tiny, {}, "classification").decisions


def test_kinds_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of faster_rcnn, retinanet, fcos, got 'yolo'"):
        Range(kinds=("yolo",))


def test_what_only_other_kinds_have_is_not_asked_for(tiny: Pretrained) -> None:
    names = ("detector", "box_head", "anchors", "proposals")
    ranges = {name: Space(tiny, {}, "detection").decisions[name].options() for name in names}
    space = Space(tiny, ranges, "detection")
    asked: dict[str, set[str]] = {}
    for seed in range(40):
        candidate = space.sample(Random(seed))
        params = space.params(candidate)
        assert params is not None
        asked.setdefault(str(params["detector"]), set()).update(name.split(".")[0] for name in params)
    assert asked["faster_rcnn"] == set(names)
    assert asked["retinanet"] == {"detector", "anchors"}
    assert asked["fcos"] == {"detector", "box_head"}


def test_draws_prefer_what_is_pretrained_else_what_is_cheap(tiny: Pretrained) -> None:
    own = PretrainedDetector("retinanet", (), 8, 1, 256, (), PLAIN_STYLE)
    for chain, likely in (
        (tiny.chain, "fcos"),
        (replace(tiny.chain, facts={**tiny.chain.facts, FACT: own}), "retinanet"),
    ):
        choices = decision.choices(chain, Range())
        drawn = [decision.sample(FromPrior(seed), choices) for seed in range(60)]
        assert max(set(drawn), key=drawn.count) == likely
