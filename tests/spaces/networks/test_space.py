from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from spaces import backbones
from spaces.backbones._base import Pretrained
from spaces.candidate import Candidate, Structure
from spaces.decisions import freeze, kernel, registry, stride, tail
from spaces.decisions._prior import Prior
from spaces.errors import CandidateError, RangeError
from spaces.networks.space import Random, Space, StoredParameters


@pytest.fixture
def space(tiny: Pretrained) -> Space:
    return Space(tiny, {name: decision.options() for name, decision in registry().items()})


def test_decisions_come_in_the_order_of_their_stages() -> None:
    stages = [decision.stage for decision in registry().values()]
    assert stages == sorted(stages)


def test_the_same_parameters_give_the_same_candidate(space: Space) -> None:
    for seed in range(20):
        candidate = space.sample(Random(seed))
        params = space.params(candidate)
        assert params is not None
        assert space.sample(StoredParameters(params)) == candidate


def test_the_plain_recipe_is_in_the_default_space(tiny: Pretrained) -> None:
    # Their plain value is what the study file says, or the optimiser, which no range holds.
    study = ("augmentation", "batch_size", "batch_norm")
    space = Space(tiny, {name: decision.options() for name, decision in registry().items() if name not in study})
    params = space.params(space.baseline())
    assert params is not None
    assert space.sample(StoredParameters(params)) == space.baseline()
    assert "plain recipe" in space.words(space.baseline())


def test_a_candidate_outside_the_ranges_has_no_parameters(tiny: Pretrained) -> None:
    narrow = Space(tiny, {"freeze": freeze.Range(low=2, high=3)})
    assert narrow.params(narrow.baseline()) is None


def test_a_freeze_depth_never_exceeds_what_the_tail_left(space: Space) -> None:
    for seed in range(60):
        choices = space.sample(Random(seed)).structure.choices
        assert choices["freeze"] + choices["tail"] <= 4


def test_closed_decisions_keep_the_plain_value(tiny: Pretrained) -> None:
    space = Space(tiny, {"freeze": freeze.Range()})
    plain = space.baseline()
    for seed in range(10):
        candidate = space.sample(Random(seed))
        assert replace(candidate.structure, choices={}) == replace(plain.structure, choices={})
        assert {
            name for name, value in candidate.structure.choices.items() if value != plain.structure.choices[name]
        } <= {"freeze"}
        assert candidate.recipe == plain.recipe


def test_words_describe_the_changes(space: Space) -> None:
    plain = space.baseline()
    choices = {**plain.structure.choices, "freeze": 1, "tail": 1, "stride": {"off": ["0"], "dilated": False}}
    candidate = Candidate(replace(plain.structure, choices=choices), plain.recipe)
    words = space.words(candidate)
    assert words.startswith("Tiny, ")
    for part in ("first 3 of 4 units kept", "stem stride 1", "first 1 of 4 units frozen"):
        assert part in words


def test_the_extremes_frame_the_plain_recipe(space: Space) -> None:
    smallest, largest = space.extremes()
    sizes = []
    for candidate in (smallest, space.baseline(), largest):
        sizes.append(
            sum(parameter.numel() for unit in space.apply(candidate) for parameter in unit.module.parameters())
        )
    assert sizes[0] < sizes[1] < sizes[2]


def test_parameters_that_matter_only_sometimes_are_listed_too(space: Space) -> None:
    found = space.parameters()
    assert found["freeze"] == "0 to 4"
    assert {"head.width1", "head.width2", "optimizer.adamw.lr_head", "penalty.l1"} <= set(found)


@pytest.mark.parametrize(
    ("ranges", "reason"),
    [
        ({"freeze": freeze.Range(low=9)}, r"space.freeze: 9\.\.4 asked for, but this backbone allows 0\.\.4"),
        ({"tail": tail.Range(low=0, high=4)}, "space.tail"),
        ({"strange": None}, "unknown decision 'strange'"),
    ],
)
def test_ranges_that_the_backbone_cannot_fill_are_refused(
    tiny: Pretrained, ranges: dict[str, object], reason: str
) -> None:
    with pytest.raises(RangeError, match=reason):
        Space(tiny, ranges)


@pytest.mark.parametrize(
    "make",
    [
        lambda: freeze.Range(low=3, high=2),
        lambda: freeze.Range(low=-1),
        lambda: kernel.Range(sizes=()),
        lambda: kernel.Range(sizes=(4,)),
        lambda: kernel.Range(sizes=(3, 3)),
        lambda: stride.Range(reductions=0),
    ],
)
def test_empty_and_upside_down_ranges_are_refused(make: object) -> None:
    with pytest.raises(ValueError, match=r"low|empty|odd|duplicate"):
        make()  # type: ignore[operator]


def test_a_decision_without_a_place_says_why(tiny: Pretrained) -> None:
    space = Space(tiny, {"stride": stride.Range(max_growth=1.0)})
    assert "max_growth" in space.dropped["stride"]
    assert "stride" not in space.choices


def test_a_candidate_of_another_backbone_is_refused(space: Space) -> None:
    plain = space.baseline()
    other = Candidate(Structure("torchvision:resnet18", "none", (16, 16), {}), plain.recipe)
    with pytest.raises(CandidateError, match="is for torchvision:resnet18"):
        space.apply(other)


def test_an_unknown_decision_in_a_candidate_is_refused(space: Space) -> None:
    plain = space.baseline()
    choices = {**plain.structure.choices, "magic": 1}
    with pytest.raises(CandidateError, match="'magic'"):
        space.values(Candidate(replace(plain.structure, choices=choices), plain.recipe))


def test_a_parameter_that_is_missing_is_named() -> None:
    with pytest.raises(CandidateError, match="'freeze'"):
        StoredParameters({}).integer("freeze", 0, 1)


def test_a_candidate_of_another_input_size_is_refused(space: Space) -> None:
    plain = space.baseline()
    other = Candidate(replace(plain.structure, input_size=(32, 32)), plain.recipe)
    with pytest.raises(CandidateError, match="is for images of 32x32 pixels, this study gives it 16x16"):
        space.apply(other)


@pytest.mark.parametrize(
    ("choices", "reason"),
    [
        ({"tail": 4}, "tail: 4 units dropped, but this backbone has 4"),
        ({"tail": -1}, "tail must be a whole number from 0 to 65536"),
        ({"kernel": [["layer3", 5]]}, "kernel: no stage 'layer3' in this backbone; stages: 0, 3"),
        ({"stride": {"off": ["layer3"], "dilated": False}}, "stride: no reduction 'layer3' here; there are 0, 3"),
        ({"skip": ["layer3"]}, "skip: no unit 'layer3' in this backbone"),
        ({"insert": {"where": "layer3", "kind": "conv", "width": 4}}, "insert: no stage 'layer3'"),
        ({"pattern": {"kind": "stage", "stage": "layer3"}}, "pattern: no stage 'layer3'"),
        ({"freeze": 9}, "freeze: 9 units frozen, but this backbone has 4"),
        ({"skip": ["0"]}, "skip: 0 may not be left out; 1, 2 may"),
        ({"skip": ["1", "1"]}, "skip must be a list of different names"),
        ({"stride": {"off": ["0", "0"], "dilated": False}}, "stride.off must be a list of different names"),
        ({"epochs": 0.5}, "structure has the decision 'epochs', which does not belong there"),
    ],
)
def test_a_candidate_that_names_something_missing_is_refused(space: Space, choices: object, reason: str) -> None:
    plain = space.baseline()
    other = Candidate(replace(plain.structure, choices={**plain.structure.choices, **choices}), plain.recipe)  # type: ignore[dict-item]
    with pytest.raises(CandidateError, match=reason):
        space.apply(other)


class Asked(Random):
    """Draws at random, but for what is fixed, and remembers what was asked for."""

    def __init__(self, seed: int, **fixed: object) -> None:
        super().__init__(seed)
        self.fixed = {name.replace("__", "."): value for name, value in fixed.items()}
        self.names: list[str] = []

    def integer(
        self, name: str, low: int, high: int, *, step: int = 1, log: bool = False, prior: Prior | None = None
    ) -> int:
        self.names.append(name)
        return self.fixed[name] if name in self.fixed else super().integer(name, low, high)  # type: ignore[return-value]

    def real(self, name: str, low: float, high: float, *, log: bool = False, prior: Prior | None = None) -> float:
        self.names.append(name)
        return super().real(name, low, high, log=log)

    def choice(self, name: str, choices: Any, *, prior: Prior | None = None) -> Any:
        self.names.append(name)
        return self.fixed[name] if name in self.fixed else super().choice(name, choices)


def test_only_what_matters_is_asked_for(space: Space) -> None:
    plain = Asked(0, pattern__kind="all", lora__where="none", insert__where="none")
    space.sample(plain)
    assert "freeze" in plain.names
    for fixed in ({"pattern__kind": "head"}, {"pattern__kind": "stage", "pattern__stage": "3.0"}):
        asked = Asked(0, **fixed, lora__where="none", insert__where="none", tail=0)
        space.sample(asked)
        assert "freeze" not in asked.names
    frozen = Asked(0, pattern__kind="head", lora__where="none", insert__where="none")
    space.sample(frozen)
    assert not any("lr_backbone" in name for name in frozen.names)
    assert "pattern.stage" not in frozen.names
    adapted = Asked(0, pattern__kind="head", insert__where="all")
    space.sample(adapted)
    assert any("lr_backbone" in name for name in adapted.names)


def test_a_head_on_what_the_tail_leaves_has_the_poolings_of_that() -> None:
    pretrained = backbones.resolve("alexnet").pretrained("none", (64, 64))
    space = Space(pretrained, {name: registry()[name].options() for name in ("tail", "head", "width")})
    shorter = Asked(0, tail=2)
    space.sample(shorter)
    assert "head.pooling" in shorter.names
    assert not any(name.startswith("width") for name in shorter.names)
    full = Asked(0, tail=0)
    space.sample(full)
    assert "head.pooling" not in full.names
    assert {"width.classifier.1", "width.classifier.4"} <= set(full.names)


HEAD = {"pooling": "avg", "widths": [8], "norm": False, "activation": "relu", "dropout": 0.0}
OPTIMIZER = {"name": "sgd", "lr_head": 0.1, "lr_backbone": 0.1, "momentum": 0.9, "layer_decay": 1.0}
OPTIMIZER |= {"schedule": "constant", "warmup": 0.0}


@pytest.mark.parametrize(
    ("decision", "plain", "damage"),
    [
        *[("head", HEAD, {"widths": widths}) for widths in ([-3], ["a"], [2.5], "abc", None, [0], [1, 2, 3, 4])],
        *[("head", HEAD, damage) for damage in ({"activation": "x"}, {"pooling": "x"}, {"norm": 1}, {"dropout": "a"})],
        *[("dropout", {"head": 0.1, "depth": 0.1}, {"head": value}) for value in ("a", None, 2.0, -1, float("nan"))],
        *[
            ("penalty", {"kind": "l2", "strength": 0.1, "everything": False}, damage)
            for damage in ({"strength": "x"}, {"strength": -1}, {"strength": float("nan")}, {"everything": "yes"})
        ],
        *[
            ("optimizer", OPTIMIZER, {name: value})
            for name in ("lr_head", "lr_backbone", "momentum", "layer_decay", "warmup")
            for value in ("x", None, -1, float("inf"), float("nan"))
        ],
        *[("mixing", {"kind": "mixup", "alpha": 0.2}, {"alpha": value}) for value in ("x", True, float("inf"), 0)],
        *[("lora", {"where": "all", "rank": 4, "scale": 1.0}, {"scale": value}) for value in (float("inf"), None)],
    ],
)
def test_damaged_values_are_refused_by_name(decision: str, plain: dict[str, object], damage: dict[str, object]) -> None:
    registry()[decision].parse(plain)
    (name,) = damage
    with pytest.raises(CandidateError, match=f"candidate: {decision}.{name} must be"):
        registry()[decision].parse({**plain, **damage})


@pytest.mark.parametrize(
    ("decision", "options"),
    [
        ("dropout", {"head": float("nan")}),
        ("dropout", {"head": 1.0}),
        ("penalty", {"l1": (1e-4, float("inf"))}),
        ("optimizer", {"sgd_head": (float("nan"), float("nan"))}),
        ("optimizer", {"warmup": 0.95}),
        ("stride", {"max_growth": float("nan")}),
        ("resolution", {"scales": (1.0, float("inf"))}),
        ("resolution", {"scales": (1.0, 5.0)}),
        ("resolution", {"multiple": 1_000_000}),
        ("lora", {"scales": (float("nan"),)}),
        ("label_smoothing", {"high": float("nan")}),
        ("mixing", {"mixup": (float("nan"), float("nan"))}),
        ("head", {"hidden": 4}),
    ],
)
def test_numbers_without_end_or_sense_are_refused_in_a_range(decision: str, options: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=rf"{decision}.*(must be|above 0)"):
        registry()[decision].options(**options)


@pytest.mark.parametrize(
    ("decision", "options"),
    [
        ("penalty", {"kinds": ("l2",), "l2": (1.23456e-4, 1.23456e-4)}),
        ("optimizer", {"names": ("sgd",), "sgd_head": (1.23456e-3, 1.23456e-3)}),
        ("label_smoothing", {"low": 0.12344, "high": 0.12344}),
        ("mixing", {"kinds": ("mixup",), "mixup": (0.11119, 0.11119)}),
        ("freeze", {"low": 3}),
    ],
)
def test_a_space_holds_what_it_draws(tiny: Pretrained, decision: str, options: dict[str, Any]) -> None:
    space = Space(tiny, {"tail": tail.Range(high=3), decision: registry()[decision].options(**options)})
    for seed in range(8):
        candidate = space.sample(Random(seed))
        params = space.params(candidate)
        assert params is not None
        assert space.sample(StoredParameters(params)) == candidate


def test_a_tail_that_begins_beyond_the_usual_third_is_possible(tiny: Pretrained) -> None:
    assert Space(tiny, {"tail": tail.Range(low=3)}).choices["tail"] == (3, 3)


def test_norm_layers_alone_and_everything_frozen_do_not_meet(space: Space) -> None:
    for seed in range(40):
        choices = space.sample(Random(seed)).structure.choices
        if choices["pattern"]["kind"] in ("norm", "bias"):
            assert choices["freeze"] + choices["tail"] < 4


def test_another_format_is_reported_before_its_keys(space: Space) -> None:
    data = space.baseline().to_json()
    for given in (2, True, 1.0, "1"):
        with pytest.raises(CandidateError, match="use the version that wrote it"):
            Candidate.from_json({**data, "format": given, "extra": 1})
