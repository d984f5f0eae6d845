from __future__ import annotations

import math
from typing import Any

import pytest

from search.records.objectives import (
    ChoiceError,
    Constraints,
    Goals,
    LatencyOptions,
    ObjectiveOptions,
    QuantisedOptions,
    goals,
    read_constraints,
    written_out,
)
from search.records.study import Objective

DIRECTIONS = {"accuracy": True, "loss": False}
KNOWN = ("accuracy", "parameters", "flops", "latency", "train_seconds", "checkpoint_bytes")


def wanted(*names: str, constraints: Any = None, latency: LatencyOptions | None = None) -> Goals:
    objectives = [ObjectiveOptions(**one) for one in written_out(list(names))] or None
    return goals(None, objectives, constraints, latency, DIRECTIONS)


def test_without_a_word_the_tasks_first_metric_is_the_only_objective() -> None:
    assert wanted().objectives == (Objective("accuracy", maximize=True),)
    assert not wanted().further
    assert wanted().to_json() == {"objectives": None, "constraints": None, "latency": None, "quantised": None}


def test_directions_are_known_and_costs_may_be_turned() -> None:
    found = wanted("accuracy", "parameters", {"train_seconds": "maximise"}, "loss")  # type: ignore[arg-type]
    assert [one.maximize for one in found.objectives] == [True, False, True, False]
    assert [one.name for one in found.further] == ["parameters", "train_seconds", "loss"]


def test_latency_is_measured_at_batch_one_where_it_is_weighed_and_nobody_says_how() -> None:
    assert wanted("accuracy", "latency").latency == LatencyOptions(batch=1)
    assert wanted(constraints={"latency": "< 5ms"}).latency == LatencyOptions()
    assert wanted("accuracy", "parameters").latency is None
    assert wanted("accuracy", "latency", latency=LatencyOptions(batch=8)).latency == LatencyOptions(batch=8)


def test_the_objective_in_integers_goes_the_way_of_the_first_one() -> None:
    said = wanted("accuracy", {"quantised": "int8"})  # type: ignore[arg-type]
    assert said == wanted("accuracy", "quantised")
    assert said.further == (Objective("quantised", maximize=True),)
    assert said.quantised == QuantisedOptions(images=128)
    assert wanted("loss", "quantised").further == (Objective("quantised", maximize=False),)
    assert wanted("accuracy", constraints={"quantised": "at least 90%"}).quantised == QuantisedOptions()


def test_how_it_is_quantised_asks_for_it_too() -> None:
    how = QuantisedOptions(images=16)
    assert goals("loss", None, None, None, DIRECTIONS, how).further == (Objective("quantised", maximize=False),)
    several = [ObjectiveOptions(name=name) for name in ("accuracy", "quantised", "flops")]
    listed = goals(None, several, None, None, DIRECTIONS, how)
    assert [one.name for one in listed.further] == ["quantised", "flops"]
    assert (listed.quantised, listed.to_json()["quantised"]) == (how, {"dtype": "int8", "images": 16})
    bounded = goals(None, None, {"quantised": "> 0.5"}, None, DIRECTIONS, how)
    assert (bounded.further, bounded.quantised) == ((), how)


@pytest.mark.parametrize(
    ("names", "constraints", "how", "key"),
    [
        (("accuracy", "quantised"), None, None, "objectives.1"),
        (("accuracy",), {"quantised": "> 0.5"}, None, "constraints.quantised"),
        (("accuracy",), None, QuantisedOptions(), "quantised"),
    ],
)
def test_a_task_that_is_not_quantised_says_so_where_it_is_asked(
    names: Any, constraints: Any, how: QuantisedOptions | None, key: str
) -> None:
    objectives = [ObjectiveOptions(name=name) for name in names]
    with pytest.raises(ChoiceError, match="not for boxes") as caught:
        goals(None, objectives, constraints, None, DIRECTIONS, how, "not for boxes")
    assert ".".join(caught.value.key) == key
    assert goals(None, [ObjectiveOptions(name="accuracy")], None, None, DIRECTIONS, None, "not for boxes")


@pytest.mark.parametrize(
    ("names", "key", "line"),
    [
        (("quantised",), "objectives.0", "must be a metric of the task"),
        (("accuracy", {"quantised": "minimize"}), "objectives.1", "direction of quantised is maximize"),
        (("parameters",), "objectives.0", "must be a metric of the task"),
        (("accuracy", "speed"), "objectives.1", "got 'speed'"),
        (("accuracy", "accuracy"), "objectives.1", "given twice"),
        (({"accuracy": "minimize"},), "objectives.0", "direction of accuracy is maximize"),
    ],
)
def test_objectives_that_make_no_sense_are_refused_by_place(names: Any, key: str, line: str) -> None:
    with pytest.raises(ChoiceError, match=line) as caught:
        wanted(*names)
    assert ".".join(caught.value.key) == key


def test_a_single_objective_has_to_be_the_first_of_several() -> None:
    several = [ObjectiveOptions(name="accuracy"), ObjectiveOptions(name="flops")]
    assert goals("accuracy", several, None, None, DIRECTIONS).objectives[1].name == "flops"
    with pytest.raises(ChoiceError, match="not the first of objectives"):
        goals("loss", several, None, None, DIRECTIONS)
    with pytest.raises(ChoiceError, match="got 'parameters'"):
        goals("parameters", None, None, None, DIRECTIONS)
    with pytest.raises(ChoiceError, match="empty"):
        goals(None, [], None, None, DIRECTIONS)


@pytest.mark.parametrize(
    ("name", "text", "inside", "outside"),
    [
        ("parameters", "< 3M", 2_999_999, 3_000_000),
        ("parameters", "<= 3M", 3_000_000, 3_000_001),
        ("flops", "< 1.5 GF", 1.49e9, 1.51e9),
        ("latency", "< 0.005 s", 4.9, 5.1),
        ("latency", "at most 5ms", 5.0, 5.1),
        ("train_seconds", "< 2m", 119, 121),
        ("checkpoint_bytes", "<= 1 MiB", 1048576, 1048577),
        ("accuracy", "at least 80%", 0.8, 0.79),
        ("accuracy", "> 8e-1", 0.81, 0.8),
    ],
)
def test_bounds_are_kept_or_broken(name: str, text: str, inside: float, outside: float) -> None:
    (one,) = read_constraints({name: text}, KNOWN).bounds
    assert one.excess(inside) <= 0 < one.excess(outside)


def test_an_excess_is_a_share_of_the_bound() -> None:
    bounds = read_constraints({"parameters": "< 2M", "accuracy": "at least 0.5"}, KNOWN)
    assert bounds.excesses({"parameters": 3e6}) == {"parameters < 2M": pytest.approx(0.5)}
    assert bounds.excesses({"accuracy": 0.4}) == {"accuracy at least 0.5": pytest.approx(0.2)}
    assert bounds.excesses({"accuracy": math.nan}) == {"accuracy at least 0.5": 1.0}


def test_constraints_are_a_mapping_or_a_list_and_come_back_from_their_own_form() -> None:
    listed = read_constraints(["parameters < 3M", "flops <1G", {"latency": "< 5ms"}], KNOWN)
    mapped = read_constraints({"parameters": ["< 3M", "< 3M"], "flops": "<1G", "latency": "< 5ms"}, KNOWN)
    assert listed == mapped
    assert read_constraints(listed.to_json(), KNOWN) == listed
    assert read_constraints(None, KNOWN) == Constraints()


@pytest.mark.parametrize(
    ("given", "key", "line"),
    [
        ({"parameters": "3M"}, "constraints.parameters", "'< 3M'.*got '3M'"),
        ({"parameters": 3}, "constraints.parameters", "got 3"),
        ({"parmeters": "< 3M"}, "constraints.parmeters", "got 'parmeters'"),
        ({"latency": "< 5 GB"}, "constraints.latency", "unknown unit 'GB'"),
        ({"accuracy": "> 0.9M"}, "constraints.accuracy", "unknown unit 'M'"),
        ({"parameters": ["> 5M", "< 3M"]}, "constraints.parameters", "> 5M and < 3M exclude each other"),
        (["flops < 1G", "flops >= 1G"], "constraints.1", "exclude each other"),
        ({"flops": "< 0"}, "constraints.flops", "no candidate can have"),
        (["small"], "constraints.0", "expected a bound"),
        (7, "constraints", "got 7"),
    ],
)
def test_constraints_that_make_no_sense_are_refused_by_key(given: Any, key: str, line: str) -> None:
    with pytest.raises(ChoiceError, match=line) as caught:
        read_constraints(given, KNOWN)
    assert ".".join(caught.value.key) == key


def test_bounds_that_meet_in_one_value_do_not_exclude_each_other() -> None:
    assert len(read_constraints({"flops": [">= 1G", "<= 1G"]}, KNOWN).bounds) == 2


@pytest.mark.parametrize(
    ("short", "line"),
    [
        ({"quantised": "int4"}, "quantised: expected int8, got 'int4'"),
        ({"flops": "up"}, "flops: expected maximize or minimize, got 'up'"),
        ({"accuracy": "maximal"}, "accuracy: expected maximize or minimize, got 'maximal'"),
    ],
)
def test_a_misspelt_direction_is_reported_with_its_objective(short: Any, line: str) -> None:
    with pytest.raises(ValueError, match=line):
        ObjectiveOptions(**written_out([short])[0])


def test_what_is_not_a_short_form_is_left_as_it_is() -> None:
    odd: list[Any] = [{"nam": "flops"}, {}, {"name": "flops"}, 7, {"flops": 1}]
    assert written_out(odd) == odd


def test_a_calibration_without_images_is_refused() -> None:
    with pytest.raises(ValueError, match="images: must be at least 1, got 0"):
        QuantisedOptions(images=0)


@pytest.mark.parametrize("options", [{"batch": 0}, {"runs": 0}, {"warmup": -1}])
def test_a_latency_that_cannot_be_measured_is_refused(options: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="must be at least"):
        LatencyOptions(**options)
