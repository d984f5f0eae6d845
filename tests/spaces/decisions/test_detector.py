from __future__ import annotations

from dataclasses import replace

import pytest

from spaces.backbones._base import Pretrained
from spaces.decisions.detector import Range, decision
from spaces.detector import FACT, KINDS, PLAIN_STYLE, PretrainedDetector
from spaces.networks.draws import FromPrior
from spaces.networks.space import Random, Space


def test_the_chain_remembers_the_kind(tiny: Pretrained) -> None:
    assert decision.apply(tiny.chain, "fcos").facts["detector"] == "fcos"
    assert "detector" not in tiny.chain.facts


def test_only_detection_has_it(tiny: Pretrained) -> None:
    assert "detector" in Space(tiny, {}, "detection").decisions
    assert "detector" not in Space(tiny, {}, "classification").decisions


def test_kinds_that_are_none_are_refused() -> None:
    with pytest.raises(ValueError, match="expected one of faster_rcnn, retinanet, fcos, rtdetr, dfine, got 'yolo'"):
        Range(kinds=("yolo",))


def test_what_only_other_kinds_have_is_not_asked_for(tiny: Pretrained) -> None:
    names = ("detector", "box_head", "anchors", "proposals", "queries", "decoder_layers")
    ranges = {name: Space(tiny, {}, "detection").decisions[name].options() for name in names}
    ranges["detector"] = Range(kinds=tuple(KINDS))
    space = Space(tiny, ranges, "detection")
    asked: dict[str, set[str]] = {}
    for seed in range(40):
        candidate = space.sample(Random(seed))
        params = space.params(candidate)
        assert params is not None
        asked.setdefault(str(params["detector"]), set()).update(name.split(".")[0] for name in params)
    assert asked["faster_rcnn"] == {"detector", "box_head", "anchors", "proposals"}
    assert asked["retinanet"] == {"detector", "anchors"}
    assert asked["fcos"] == {"detector", "box_head"}
    assert asked["rtdetr"] == asked["dfine"] == {"detector", "queries", "decoder_layers"}


def test_queries_are_tried_where_they_are_named_or_pretrained(tiny: Pretrained) -> None:
    assert decision.choices(tiny.chain, Range()).kinds == ("faster_rcnn", "retinanet", "fcos")
    assert decision.choices(tiny.chain, Range(kinds=("rtdetr",))).kinds == ("rtdetr",)
    own = PretrainedDetector("dfine", (), 8, 0, 256)
    chain = replace(tiny.chain, facts={**tiny.chain.facts, FACT: own})
    assert decision.choices(chain, Range()).kinds == ("faster_rcnn", "retinanet", "fcos", "dfine")
    assert decision.baseline(chain) == "dfine"


def test_a_kind_whose_library_is_missing_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("spaces.decisions.detector.find_spec", lambda name: None if name == "transformers" else name)
    assert Range(kinds=("fcos",)).kinds == ("fcos",)
    with pytest.raises(ValueError, match=r"detector.kinds: dfine needs `pip install ftsearch\[transformers\]`"):
        Range(kinds=("fcos", "dfine"))


def test_draws_prefer_what_is_pretrained_else_what_is_cheap(tiny: Pretrained) -> None:
    own = PretrainedDetector("retinanet", (), 8, 1, 256, (), PLAIN_STYLE)
    for chain, likely in (
        (tiny.chain, "fcos"),
        (replace(tiny.chain, facts={**tiny.chain.facts, FACT: own}), "retinanet"),
    ):
        choices = decision.choices(chain, Range())
        drawn = [decision.sample(FromPrior(seed), choices) for seed in range(60)]
        assert max(set(drawn), key=drawn.count) == likely
