from __future__ import annotations

import json
from dataclasses import asdict, replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from PIL import Image

from search.data.augment import preset
from search.data.sample import Split
from search.detection.detectors import Detections
from search.detection.kinds import KINDS
from search.errors import SpecError, UserError
from search.records.study import EpochRecord, Evaluation, Verdict
from search.runtime.study_record import study_record
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import parse_spec
from search.tasks._prediction import InputInfo, PredictOptions
from search.tasks.detection import Options, task
from search.training.feature_store import Budgets, FeatureStore
from search.training.fit import TrainingResult, fit
from spaces.candidate import Candidate

COLOURS = {"red": (250, 40, 40), "green": (40, 250, 40)}


def draw(folder: Path, count: int = 6, side: int = 64) -> Path:
    """Write images with one or two coloured rectangles each, and their annotations."""
    random = np.random.default_rng(0)
    images: list[dict[str, Any]] = []
    boxes: list[dict[str, Any]] = []
    for number in range(count):
        pixels = random.integers(0, 60, (side, side, 3), dtype=np.uint8)
        for place, name in enumerate(COLOURS):
            if number % 3 == 2 - place:
                continue
            width, height = (int(value) for value in random.integers(16, 28, 2))
            left = int(random.integers(0, side // 2 - width)) + place * side // 2 if width < side // 2 else place * 32
            top = int(random.integers(0, side - height))
            pixels[top : top + height, left : left + width] = COLOURS[name]
            found = {"id": len(boxes) + 1, "image_id": number, "category_id": place, "iscrowd": 0}
            boxes.append({**found, "bbox": [left, top, width, height], "area": width * height})
        Image.fromarray(pixels).save(folder / f"{number}.png")
        images.append({"id": number, "file_name": f"{number}.png", "width": side, "height": side})
    categories = [{"id": place, "name": name} for place, name in enumerate(COLOURS)]
    data = {"images": images, "annotations": boxes, "categories": categories}
    (folder / "boxes.json").write_text(json.dumps(data))
    return folder / "boxes.json"


STUDY = """\
name: rectangles
task: detection
data: {{path: {path}, val_share: 0.34}}
backbone: {backbone}
weights: none
input_size: 64
space: {{freeze: {{}}, detector: {{}}}}
training: {{epochs: {epochs}, batch_size: 4, augmentation: none, precision: float32}}
search: {{trials: 1, seed: 3, pruner: none}}
detection: {{samples: 32{more}}}
"""
SMALL = {
    "pyramid_width": 64,
    "box_head": {"width": 64, "depth": 1},
    "proposals": 50,
    "queries": 30,
    "decoder_layers": 2,
}


def opened(folder: Path, epochs: int = 60, more: str = "", backbone: str = "squeezenet1_1") -> StudyRuntime:
    text = STUDY.format(path=draw(folder), epochs=epochs, more=more, backbone=backbone)
    return open_runtime(parse_spec(text, base=folder), "cpu")


def changed(runtime: StudyRuntime, structure: dict[str, Any], lr: float = 2e-3) -> Candidate:
    candidate = runtime.space.baseline()
    recipe = {**candidate.recipe.choices}
    recipe["optimizer"] = {**recipe["optimizer"], "name": "adamw", "lr_head": lr, "lr_backbone": lr}
    own = {name: value for name, value in structure.items() if name in candidate.structure.choices}
    return Candidate(
        replace(candidate.structure, choices={**candidate.structure.choices, **own}),
        replace(candidate.recipe, choices=recipe),
    )


def trained(runtime: StudyRuntime, candidate: Candidate) -> TrainingResult:
    network = runtime.build(candidate, 0)
    plan = runtime.plan(candidate, 0, until_known, lambda: False, None, network)
    return fit(network, replace(plan, val=plan.train, patience=0))


def until_known(record: EpochRecord) -> Verdict:
    """End a training that has learnt its images by heart."""
    return Verdict.PRUNE if record.metrics["map_50"] > 0.9 else Verdict.CONTINUE


@pytest.mark.parametrize("kind", KINDS)
def test_every_detector_learns_a_few_images_by_heart(tmp_path: Path, kind: str) -> None:
    runtime = opened(tmp_path, epochs=120)  # it ends once it has learnt, sooner on some processors than on others
    wanted = {**SMALL, "detector": kind, "anchors": {"source": "data", "scale": 1.0, "ratios": "three"}}
    outcome = trained(runtime, changed(runtime, wanted))
    assert max(record.metrics["map_50"] for record in outcome.epochs) > 0.9


@pytest.mark.parametrize("kind", ["fcos", "rtdetr"])
def test_cached_levels_teach_as_recomputed_ones_do(tmp_path: Path, kind: str) -> None:
    store = FeatureStore(torch.device("cpu"), tmp_path / "features", Budgets(0, 10**8, 10**8))
    runtime = replace(opened(tmp_path, epochs=2), store=store)
    uncached = replace(runtime, store=None, spec=_without_cache(runtime))
    for freeze in (3, 7, 9):  # before all taps, between them, and after the last
        wanted = {**SMALL, "detector": kind, "freeze": freeze, "pyramid_levels": {"finest": 4, "extra": 0}}
        candidate = changed(runtime, wanted, 1e-3)
        one, two = (_run(found, candidate) for found in (runtime, uncached))
        for first, second in zip(one.epochs, two.epochs, strict=True):
            assert first.train_loss == pytest.approx(second.train_loss, rel=1e-4)
            assert first.metrics == pytest.approx(second.metrics, abs=1e-4)


def _without_cache(runtime: StudyRuntime) -> Any:
    spec = runtime.spec
    return replace(spec, training=replace(spec.training, prefix_cache="off"))


def _run(runtime: StudyRuntime, candidate: Candidate) -> TrainingResult:
    network = runtime.build(candidate, 0)
    assert network.taps
    assert network.prefix_units
    return fit(network, runtime.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network))


def test_every_level_and_head_builds_and_is_counted(tmp_path: Path) -> None:
    runtime = opened(tmp_path, backbone="mobilenet_v3_small")
    costs = {}
    for finest, extra in ((4, 1), (16, 0)):
        for kind in KINDS:
            wanted = {**SMALL, "detector": kind, "pyramid_levels": {"finest": finest, "extra": extra}}
            network = runtime.build(changed(runtime, wanted), 0)
            costs[finest, kind] = runtime.size(network).flops
            images = torch.randn(2, 3, 64, 64)
            network.eval()
            with torch.no_grad():
                assert len(network(images)) == 2
    assert all(costs[4, kind] > costs[16, kind] for kind in KINDS)


@pytest.mark.parametrize("backbone", ["vit_b_32", "swin_t"])
@pytest.mark.parametrize("kind", ["fcos", "rtdetr"])
def test_tokens_and_maps_with_channels_last_are_laid_out(tmp_path: Path, backbone: str, kind: str) -> None:
    runtime = opened(tmp_path, backbone=backbone)
    network = runtime.build(changed(runtime, {**SMALL, "detector": kind}), 0)
    loss = runtime.task.loss(network(torch.randn(2, 3, 64, 64)), _targets(runtime)[0:2])
    loss.backward()
    assert torch.isfinite(loss)


def _targets(runtime: StudyRuntime) -> Any:
    return next(iter(runtime.batches(Split.TRAIN).epoch(1)))[1]


def test_images_without_a_box_are_learnt_from_too(tmp_path: Path) -> None:
    runtime = opened(tmp_path)
    targets = replace(_targets(runtime), labels=torch.full_like(_targets(runtime).labels, -1))
    for kind in KINDS:
        network = runtime.build(changed(runtime, {**SMALL, "detector": kind}), 0)
        assert torch.isfinite(runtime.task.loss(network(torch.randn(len(targets), 3, 64, 64)), targets))


def test_anchors_follow_the_data_the_stride_and_the_scale(tmp_path: Path) -> None:
    runtime = opened(tmp_path, backbone="mobilenet_v3_small")
    plain = runtime.build(runtime.space.baseline(), 0).head.setting  # type: ignore[union-attr]
    assert plain.sizes == ((64.0,), (128.0,), (256.0,), (512.0,))
    assert plain.ratios == (0.5, 1.0, 2.0)
    data = {"anchors": {"source": "data", "scale": 0.5, "ratios": "three"}}
    sizes = runtime.build(changed(runtime, data), 0).head.setting.sizes  # type: ignore[union-attr]
    assert all(6 < size < 15 for level in sizes for size in level)


def test_the_study_says_what_its_boxes_ask_for(tmp_path: Path) -> None:
    runtime = opened(tmp_path)
    first, second = runtime.task.advice()
    assert "6 training boxes" in first
    assert "`source: data`" in second
    assert runtime.task.facts()["boxes"]["count"] == 6
    assert study_record(runtime).dataset.counts["train"] == {"red": 3, "green": 3}


def test_a_finished_model_is_made_again_without_its_data(tmp_path: Path) -> None:
    runtime = opened(tmp_path)
    data = {**SMALL, "anchors": {"source": "data", "scale": 1.0, "ratios": "three"}}
    candidate = changed(runtime, data)
    network = runtime.build(candidate, 0)
    facts = json.loads(json.dumps(dict(runtime.task.facts())))
    again = replace(runtime, task=task.restore(runtime.task.chosen, facts)).build(candidate, 0)
    assert again.head.setting == network.head.setting  # type: ignore[union-attr]
    again.load_state_dict(network.state_dict())


def test_pictures_and_results_by_class_go_to_the_store(tmp_path: Path) -> None:
    runtime = opened(tmp_path, epochs=2, more=", shown_score: 0.06")
    outcome = trained(runtime, changed(runtime, {**SMALL, "detector": "fcos"}))
    found = outcome.evaluation
    assert found is not None
    assert [result.name for result in found.measured] == ["red", "green"]
    assert [result.support for result in found.measured] == [3, 3]
    assert "missed" in found.pictures[0].caption
    assert {box.score is None for box in found.pictures[0].boxes} >= {True}
    assert Evaluation.from_json(json.loads(json.dumps(asdict(found)))) == found


def test_images_are_turned_only_with_their_boxes() -> None:
    assert task.augmentation(preset("randaugment", flip=True)).operations == 0
    assert task.augmentation(preset("light", flip=True)).flip == 0.5


def test_letterboxed_crops_keep_their_proportions(tmp_path: Path) -> None:
    runtime = opened(tmp_path, more=", resize: letterbox")
    pixels = runtime.batches(Split.TRAIN).pixels  # type: ignore[attr-defined]
    assert set(pixels.ratios.tolist()) == {1.0}


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("detection: {samples: 1}", "samples must be at least 4"),
        ("detection: {overlap: 1}", "overlap must be above 0 and below 1"),
        ("detection: {resize: crop}", "resize"),
        ("objective: accuracy", "expected one of map, map_50, map_75, mar_100"),
    ],
)
def test_what_makes_no_sense_is_refused(text: str, message: str) -> None:
    plain = "name: x\ntask: detection\ndata: {path: a.json}\nbackbone: resnet18\n"
    with pytest.raises(SpecError, match=message):
        parse_spec(plain + text)


@pytest.mark.parametrize(
    ("decision", "reason"),
    [("mixing", "inputs of the task detection cannot be mixed"), ("head", "head"), ("label_smoothing", "smooth")],
)
def test_decisions_that_make_no_sense_are_refused_with_their_reason(decision: str, reason: str, tmp_path: Path) -> None:
    text = STUDY.format(path=draw(tmp_path), epochs=1, more="", backbone="squeezenet1_1")
    spec = parse_spec(text.replace("freeze: {}", f"freeze: {{}}, {decision}: {{}}"), base=tmp_path)
    with pytest.raises(UserError, match=reason):
        open_runtime(spec, "cpu")


def test_decisions_of_other_tasks_are_refused_and_its_own_are_open() -> None:
    plain = "name: x\ndata: {path: a.json}\nbackbone: resnet18\n"
    with pytest.raises(SpecError, match="this decision is for detection"):
        parse_spec(plain + "space: {detector: {}}")
    spec = parse_spec(plain + "task: detection\n")
    assert (spec.data_format, spec.objective) == ("coco", "map")
    assert {"detector", "anchors", "box_head", "proposals", "pyramid_levels", "pyramid_width"} < set(spec.space)
    assert "head" not in spec.space
    assert isinstance(spec.task_options, Options)


def told(*rows: tuple[list[float], float, int]) -> Detections:
    boxes, scores, labels = zip(*rows, strict=True)
    image = {"boxes": torch.tensor(boxes), "scores": torch.tensor(scores), "labels": torch.tensor(labels)}
    return Detections((image,))


def test_boxes_are_reported_in_pixels_of_the_original_the_surest_first() -> None:
    found = told(([0.0, 0.25, 0.5, 0.75], 0.6, 1), ([0.5, 0.3, 1.0, 1.0], 0.9, 0), ([0.0, 0.0, 1.0, 1.0], 0.2, 0))
    letterboxed = InputInfo(200, 100, (0.0, -0.5, 1.0, 1.5))  # a wide image between bars above and below
    (predicted,) = task.predicted(found, ("a", "b"), [letterboxed], PredictOptions())
    assert [(box.label, round(box.score, 3)) for box in predicted.boxes] == [("a", 0.9), ("b", 0.6)]
    assert predicted.boxes[1][2:] == pytest.approx((0, 0, 100, 100))
    assert predicted.boxes[0][2:] == pytest.approx((100, 10, 200, 100), abs=1e-4)
    (all_of_them,) = task.predicted(found, ("a", "b"), [letterboxed], PredictOptions(threshold=0.1))
    assert len(all_of_them.boxes) == 3
    (one,) = task.predicted(found, ("a", "b"), [letterboxed], PredictOptions(most=1))
    assert one.boxes == predicted.boxes[:1]


def test_a_file_may_miss_one_box_of_a_hundred_and_no_more() -> None:
    corners = [(number % 15 / 16, number // 15 / 11) for number in range(150)]
    rows = [([left, top, left + 0.05, top + 0.05], 0.5, 0) for left, top in corners]
    assert task.difference(told(*rows), told(*rows), ("a",)) == (0.0, 1.0, 1)
    assert task.difference(told(*rows[:148]), told(*rows), ("a",)) == (0.0, 1.0, 0)
    assert task.difference(told(*rows[:100]), told(*rows), ("a",)).largest == 1.0
    none = Detections(({name: value[:0] for name, value in told(*rows).images[0].items()},))
    assert task.difference(none, none, ("a",)) == (0.0, 0.0, 1)
