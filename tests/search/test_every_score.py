"""The search's value, the exported model's and the one that others compute from ``predict --json`` are the same."""

from __future__ import annotations

import io
import json
from collections.abc import Iterable
from contextlib import redirect_stdout
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from by_path import module_at
from PIL import Image
from sklearn import metrics

from search import api, cli
from search.data.sample import Sample, Split
from search.lifecycle.export import export_study

SAME = 2e-6
RUN = """\
name: s
task: {task}
data: {data}
backbone: {backbone}
weights: none
{more}
training: {{epochs: {epochs}, batch_size: 8, augmentation: none, precision: float32, cache: false}}
search: {{trials: 1, seed: 3, pruner: none, parallel_heads: 1}}
"""


def shared(name: str, room: str = "tasks") -> Any:
    """Return another test's module, for the data that it draws."""
    return module_at(f"search/{room}/{name}.py")


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("FTSEARCH_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("COLUMNS", "200")
    return tmp_path


def scored(
    task: str, data: str, more: str = "", backbone: str = "squeezenet1_1", epochs: int = 3
) -> tuple[Any, tuple[Sample, ...]]:
    """Run and export a study; return its record and validation samples, the export's metric held to the search's."""
    text = RUN.format(task=task, data=data, more=more, backbone=backbone, epochs=epochs)
    Path("study.yaml").write_text(text.replace("weights: none\n", "") if ":" in backbone else text)
    api.run_study("study.yaml", report=False, final=False)
    study = api.load_study("s")
    assert study.best is not None
    done = export_study("s", output="model")
    assert done.notes == ()
    assert done.facts.metrics[study.metric] == pytest.approx(study.best.value, rel=1e-6, abs=SAME)
    return study, api.open_study("study.yaml").dataset.of(Split.VAL)


def at_the_best_epoch(study: Any, names: Iterable[str]) -> dict[str, float]:
    """Return the winner's metrics called ``names``."""
    found = study.best.epochs[study.best.best_epoch - 1].metrics
    return {name: found[name] for name in names}


def told(*arguments: object) -> Any:
    """Return what ``ftsearch predict model ... --json`` prints."""
    out = io.StringIO()
    with redirect_stdout(out):
        assert cli.main(["predict", "model", *map(str, arguments), "--json"]) == 0
    return json.loads(out.getvalue())


def pictures(samples: tuple[Sample, ...], *options: object) -> list[Any]:
    """Return the predictions for the images of ``samples``, in their order."""
    (folder,) = {Path(sample.input.name).parent for sample in samples}
    found = {Path(one["file"]).resolve(): one for one in told(folder, *options)}
    return [found[Path(sample.input.name).resolve()] for sample in samples]


def draw_boxes(count: int = 12) -> None:
    """Draw rectangles near the borders of images of many sizes, so that boxes reach beyond them."""
    random = np.random.default_rng(1)
    images, boxes = [], []
    for number in range(count):
        width, height = (int(side) for side in random.integers(40, 140, 2))
        pixels = random.integers(0, 60, (height, width, 3), dtype=np.uint8)
        for kind in range(2):
            wide, tall = int(width * random.uniform(0.5, 0.9)), int(height * random.uniform(0.5, 0.9))
            left, top = (kind * (width - wide), (number % 2) * (height - tall))
            pixels[top : top + tall, left : left + wide, kind] = 250
            boxes.append(
                {"id": len(boxes) + 1, "image_id": number, "category_id": kind + 1, "iscrowd": 0}
                | {"bbox": [left, top, wide, tall], "area": wide * tall}
            )
        Image.fromarray(pixels).save(f"{number:02d}.png")
        images.append({"id": number, "file_name": f"{number:02d}.png", "width": width, "height": height})
    categories = [{"id": kind + 1, "name": name} for kind, name in enumerate(("red", "green"))]
    Path("boxes.json").write_text(json.dumps({"images": images, "annotations": boxes, "categories": categories}))


@pytest.mark.parametrize("resize", ["letterbox", pytest.param("stretch", marks=pytest.mark.slow)])
def test_boxes(resize: str, root: Path) -> None:
    coco, evaluation = pytest.importorskip("pycocotools.coco"), pytest.importorskip("pycocotools.cocoeval")
    draw_boxes()
    detector = "detector: {kinds: [faster_rcnn]}, pyramid_width: {widths: [64]}, proposals: {kept: [100]}"
    space = f"{{{detector}, optimizer: {{names: [adamw]}}}}"
    more = f"input_size: 64\nspace: {space}\ndetection: {{resize: {resize}, samples: 32, least_score: 0.01}}"
    study, samples = scored("detection", "{path: boxes.json, val_share: 0.5}", more, epochs=8)
    Path("val").mkdir()
    for sample in samples:
        Path(sample.input.name).rename(Path("val") / Path(sample.input.name).name)
    ids = {f"{number:02d}.png": number for number in range(12)}
    names = {"red": 1, "green": 2}
    said = [
        {"image_id": ids[Path(one["file"]).name], "category_id": names[box["label"]], "score": box["score"]}
        | {"bbox": [box["left"], box["top"], box["right"] - box["left"], box["bottom"] - box["top"]]}
        for one in told("val", "--threshold", 0.01)
        for box in one["boxes"]
    ]
    with redirect_stdout(io.StringIO()):
        truth = coco.COCO("boxes.json")
        run = evaluation.COCOeval(truth, truth.loadRes(said), "bbox")
        run.params.imgIds = sorted(ids[Path(sample.input.name).name] for sample in samples)
        run.evaluate()
        run.accumulate()
        run.summarize()
    assert study.best.value > 0
    assert study.best.value == pytest.approx(float(run.stats[0]), abs=SAME)


def draw_masks(count: int = 12) -> None:
    """Draw three colours with their masks, in images of many sizes, some pixels of which count for nothing."""
    for name in ("images", "masks"):
        Path("data", name).mkdir(parents=True)
    for number in range(count):
        random = np.random.default_rng(number)
        height, width = (int(side) for side in random.integers(50, 130, 2))
        coarse = Image.fromarray(random.integers(0, 3, (3, 4), dtype=np.uint8))
        mask = np.array(coarse.resize((width, height), Image.Resampling.NEAREST))
        colours = np.array([[30, 30, 30], [220, 30, 30], [30, 220, 30]])[mask] + random.integers(
            0, 30, (height, width, 3)
        )
        mask[:3] = 255
        Image.fromarray(colours.astype(np.uint8)).save(f"data/images/{number:02d}.png")
        Image.fromarray(mask).save(f"data/masks/{number:02d}.png")


@pytest.mark.parametrize(  # inputs smaller and larger than the images
    ("objective", "size"), [("miou", "[32, 48]"), pytest.param("dice", "160", marks=pytest.mark.slow)]
)
def test_masks(objective: str, size: str, root: Path) -> None:
    draw_masks()
    space = "{decoder: {kinds: [unet], widths: [16]}}"
    data = "{path: data, val_share: 0.34, classes: [grey, red, green]}"
    more = f"input_size: {size}\nobjective: {objective}\nspace: {space}"
    study, samples = scored("segmentation", data, more)
    told("data/images", "--masks", "told")
    names = [Path(sample.input.name).name for sample in samples]
    said, true = (
        np.concatenate([np.asarray(Image.open(Path(folder) / name)).ravel() for name in names])
        for folder in ("told", "data/masks")
    )
    said, true = said[true != 255], true[true != 255]
    values = {
        "miou": metrics.jaccard_score(true, said, average="macro"),
        "dice": metrics.f1_score(true, said, average="macro"),
        "pixel_accuracy": metrics.accuracy_score(true, said),
        "mean_accuracy": metrics.balanced_accuracy_score(true, said),
    }
    assert study.best.value == pytest.approx(values[objective], abs=1e-5)
    assert at_the_best_epoch(study, values) == pytest.approx(values, abs=1e-5)


def test_classes(root: Path) -> None:
    random = np.random.default_rng(0)
    for kind in range(3):
        (root / "data" / "abc"[kind]).mkdir(parents=True)
        for number in range(14):
            pixels = random.integers(0, 255, (int(random.integers(30, 70)), int(random.integers(30, 70)), 3))
            pixels[..., kind] = np.minimum(pixels[..., kind] + 60, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "data" / "abc"[kind] / f"{number}.png")
    more = "input_size: 32\nspace: {head: {}}\nobjective: macro_f1"
    study, samples = scored("classification", "{path: data, val_share: 0.4}", more)
    labels = {Path(one["file"]).resolve(): one["answers"][0]["label"] for one in told("data")}
    said = [labels[Path(sample.input.name).resolve()] for sample in samples]
    true = [Path(sample.input.name).parent.name for sample in samples]
    values = {
        "accuracy": metrics.accuracy_score(true, said),
        "macro_f1": metrics.f1_score(true, said, average="macro"),
    }
    assert study.best.value == pytest.approx(values["macro_f1"], abs=SAME)
    assert at_the_best_epoch(study, values) == pytest.approx(values, abs=SAME)


def test_whoever_knows_the_folder_s_text_alone_gets_the_same_score(root: Path) -> None:
    runtime = pytest.importorskip("onnxruntime")
    random = np.random.default_rng(1)
    for kind in range(3):
        (root / "data" / "abc"[kind]).mkdir(parents=True)
        for number in range(14):
            pixels = random.integers(0, 255, (int(random.integers(30, 70)), int(random.integers(30, 70)), 3))
            pixels[..., kind] = np.minimum(pixels[..., kind] + 20, 255)
            Image.fromarray(pixels.astype(np.uint8)).save(root / "data" / "abc"[kind] / f"{number}.png")
    study, samples = scored("classification", "{path: data, val_share: 0.4}", "input_size: 33\nspace: {head: {}}")
    export_study("s", output="graph", formats=("onnx",))
    facts = json.loads(Path("graph/model.json").read_text())
    text = Path("graph/README.md").read_text()
    assert facts["frame"]["steps"] in text
    session = runtime.InferenceSession("graph/model.onnx")
    follow, right = shared("test_preprocessing", "model").follow, 0
    for sample in samples:
        with Image.open(sample.input.name) as image:
            inputs = follow(text[text.index("## Preprocessing") :], image)
        (outputs,) = session.run(None, {session.get_inputs()[0].name: inputs[None]})
        right += facts["classes"][int(outputs[0].argmax())] == Path(sample.input.name).parent.name
    assert right / len(samples) == pytest.approx(study.best.value, abs=SAME)


@pytest.mark.parametrize("task", ["regression", "multilabel"])
def test_numbers_and_labels(task: str, root: Path) -> None:
    random = np.random.default_rng(0)
    lines = ["path,target" if task == "regression" else "path,labels"]
    for number in range(30):
        parts = random.integers(0, 2, 3) * 200
        pixels = random.integers(0, 50, (40, 48, 3)) + parts
        Image.fromarray(pixels.astype(np.uint8)).save(root / f"{number:02d}.png")
        labels = ";".join(name for name, part in zip("abc", parts, strict=True) if part)
        lines.append(f"{number:02d}.png,{parts.sum() / 10 if task == 'regression' else labels}")
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    study, samples = scored(task, "{path: t.csv, val_share: 0.4}", "input_size: 32\nspace: {head: {}}")
    found = [{answer["label"]: answer["score"] for answer in one["answers"]} for one in pictures(samples, "--top", "3")]
    if task == "regression":
        errors = [one["target"] - sample.target[0] for one, sample in zip(found, samples, strict=True)]
        assert study.best.value == pytest.approx(float(np.sqrt(np.mean(np.square(errors)))), rel=1e-5)
        return
    there = [{study.dataset.classes[label] for label in sample.target} for sample in samples]
    true = np.array([[name in labels for name in study.dataset.classes] for labels in there])
    said = np.array([[one[name] for name in study.dataset.classes] for one in found])
    kept = true.any(axis=0)
    value = metrics.average_precision_score(true[:, kept], said[:, kept], average="macro")
    assert study.best.value == pytest.approx(value, abs=1e-5)


def test_texts(root: Path) -> None:
    texts = shared("test_text")
    backbone = f'"transformers:{texts.saved(root / "network")}"'
    more = "space: {head: {}}\ntext: {max_length: 16}"
    study, samples = scored("text", texts.reviews(root), more, backbone)
    (root / "val.txt").write_text("\n".join(sample.input.text for sample in samples) + "\n")
    said = [study.dataset.classes.index(one["answers"][0]["label"]) for one in told("val.txt")]
    assert study.best.value == pytest.approx(metrics.accuracy_score([one.target for one in samples], said), abs=SAME)


def test_tags(root: Path) -> None:
    tokens = shared("test_tokens")
    backbone = f'"transformers:{shared("test_text").saved(root / "network")}"'
    more = "objective: accuracy\nspace: {head: {}}\ntokens: {max_length: 16}"
    study, samples = scored("tokens", tokens.sentences(root), more, backbone)
    (root / "val.txt").write_text("".join(" ".join(sample.input.words) + "\n" for sample in samples))
    pairs = [
        (study.dataset.classes[true], tag["label"])
        for one, sample in zip(told("val.txt"), samples, strict=True)
        for true, tag in zip(sample.target, one["tags"], strict=True)
        if tag is not None
    ]
    assert study.best.value == pytest.approx(np.mean([true == tag for true, tag in pairs]), abs=SAME)
