"""Every task is searched, weighed, bounded, quantised, confirmed, refitted and exported: one tiny trial for each."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from by_path import module_at

from search import api
from search.errors import ConstraintError, UserError
from search.lifecycle.export import export_study
from search.records.study import StudyRecord, TrialState
from search.runtime.objective_values import counted
from search.runtime.several_backbones import each
from search.tasks import tasks
from spaces.candidate import Candidate

STUDY = """\
name: {name}
task: {task}
data: {data}
{backbone}
{more}
training: {{epochs: 1, batch_size: 8, augmentation: none, precision: float32, cache: false}}
search: {{trials: {trials}, seed: 3, pruner: none, parallel_heads: 1}}
"""


def drawing(name: str) -> Any:
    """Return another task's test module, for the data that it draws."""
    return module_at(f"search/tasks/{name}.py")


def colours(root: Path) -> str:
    drawing("test_segmentation").draw(root / "drawn")
    lines = ["path,label"] + [f"drawn/images/{number:02d}.png,{'ab'[number % 2]}" for number in range(12)]
    (root / "classes.csv").write_text("\n".join(lines) + "\n")
    return "{path: classes.csv, val_share: 0.34}"


def table_of(root: Path, head: str, values: Callable[[int], object]) -> str:
    lines = [head, *(f"{'abcdefghij'[number % 10]} good film,{values(number)}" for number in range(16))]
    (root / "t.csv").write_text("\n".join(lines) + "\n")
    return "{path: t.csv, val_share: 0.25}"


def masks(root: Path) -> str:
    drawing("test_segmentation").draw(root / "drawn")
    return "{path: drawn, val_share: 0.34, classes: [grey, red, green]}"


@dataclass(frozen=True)
class Way:
    """How a task is tried: what draws its data, and what its study needs beside that."""

    draw: Callable[[Path], str]
    more: str = ""
    reads: str = "images"


IMAGES = "input_size: 32\nspace: {head: {hidden: 0}}"
TEXTS = "space: {{head: {{}}}}\n{task}: {{max_length: 16}}"
WAYS = {
    "classification": Way(colours, IMAGES),
    "multilabel": Way(lambda root: f"{{path: {drawing('test_multilabel').draw(root).name}, val_share: 0.3}}", IMAGES),
    "regression": Way(
        lambda root: f"{{path: {drawing('test_regression').draw(root).name}, target_columns: [width], val_share: 0.3}}",
        IMAGES,
    ),
    "detection": Way(
        lambda root: f"{{path: {drawing('test_detection').draw(root, 9).name}, val_share: 0.34}}",
        "input_size: 64\n"
        "space: {detector: {kinds: [retinanet]}, pyramid_width: {widths: [64]}}\n"
        "detection: {samples: 32, least_score: 0.01}",
    ),
    "segmentation": Way(masks, "input_size: [64, 96]\nspace: {decoder: {kinds: [fcn], widths: [16]}}"),
    "text": Way(lambda root: drawing("test_text").reviews(root), TEXTS.format(task="text"), "texts"),
    "tokens": Way(lambda root: drawing("test_tokens").sentences(root), TEXTS.format(task="tokens"), "texts"),
    "text_multilabel": Way(
        lambda root: table_of(root, "text,labels", lambda number: ";".join("xy"[: 1 + number % 2])),
        TEXTS.format(task="text_multilabel"),
        "texts",
    ),
    "text_regression": Way(
        lambda root: table_of(root, "text,score", lambda number: number % 5),
        TEXTS.format(task="text_regression"),
        "texts",
    ),
}


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


def backbones(task: str, root: Path) -> tuple[str, str]:
    """Return two networks that read what the task takes; texts' ones with random weights, written here."""
    if WAYS[task].reads == "images":
        return "squeezenet1_1", "shufflenet_v2_x0_5"
    saved = drawing("test_text").saved
    return f'"transformers:{saved(root / "bert")}"', f'"transformers:{saved(root / "roberta", "roberta")}"'


def ran(task: str, root: Path, goals: str = "", *, several: bool = False, trials: int = 1) -> StudyRecord:
    """Return the study of ``task`` with these ``goals`` after its trials, each of which is complete."""
    way, known = WAYS[task], backbones(task, root)
    weights = "\nweights: none" if way.reads == "images" else ""
    backbone = (f"backbone: [{', '.join(known)}]" if several else f"backbone: {known[0]}") + weights
    text = STUDY.format(
        name="s", task=task, data=way.draw(root), backbone=backbone, more=f"{way.more}\n{goals}", trials=trials
    )
    Path("study.yaml").write_text(text)
    study = api.run_study("study.yaml", report=False, final=False).study
    assert [trial.state for trial in study.trials] == [TrialState.COMPLETE] * trials, [
        trial.failure for trial in study.trials
    ]
    return study


def metric_of(task: str) -> str:
    return next(iter(tasks()[task].directions))


EVERY = pytest.mark.parametrize("task", WAYS)


def test_every_task_of_this_package_is_tried() -> None:
    own = {name for name, task in tasks().items() if type(task).__module__.startswith("search.tasks.")}
    assert own == set(WAYS)


@EVERY
def test_parameters_and_flops_are_weighed_and_bounded(task: str, root: Path) -> None:
    goals = f"objectives: [{metric_of(task)}, parameters, flops]\nconstraints: {{parameters: < 1G, flops: < 1T}}"
    (trial,) = ran(task, root, goals).trials
    assert trial.size is not None
    assert trial.candidate is not None
    assert trial.objectives is not None
    runtime = api.open_study("study.yaml")
    network = runtime.build(Candidate.from_json(trial.candidate), 0)
    assert trial.objectives["parameters"] == sum(one.numel() for one in network.parameters()) == trial.size.parameters
    assert trial.objectives["flops"] == trial.size.flops
    assert all(excess < 0 for excess in trial.constraints.values())
    assert len(trial.constraints) == 2


@pytest.mark.slow
@EVERY
def test_a_bound_that_nothing_keeps_is_reported_before_training(task: str, root: Path) -> None:
    way = WAYS[task]
    weights = "\nweights: none" if way.reads == "images" else ""
    more = f"{way.more}\nconstraints: {{parameters: < 10}}"
    backbone = f"backbone: {backbones(task, root)[0]}{weights}"
    text = STUDY.format(name="s", task=task, data=way.draw(root), backbone=backbone, more=more, trials=1)
    Path("study.yaml").write_text(text)
    with pytest.raises(ConstraintError, match=r"satisfies the constraints.*parameters"):
        api.run_study("study.yaml", report=False)


@pytest.mark.slow
@EVERY
def test_several_backbones(task: str, root: Path) -> None:
    goals = f"objectives: [{metric_of(task)}, parameters]"
    study = ran(task, root, goals, several=True, trials=2)
    assert all(trial.objectives.keys() == {metric_of(task), "parameters"} for trial in study.trials)
    runtimes = each(api.open_study("study.yaml"))
    assert len({one.pretrained.backbone for one in runtimes}) == 2
    for one in runtimes:  # whichever of them the two trials had
        candidate = one.space.baseline()
        size = one.size(one.build(candidate, 0))
        assert counted(one, candidate) == {"parameters": size.parameters, "flops": size.flops}


@pytest.mark.slow
@EVERY
def test_it_is_confirmed_on_folds_refitted_and_exported(task: str, root: Path) -> None:
    study = ran(task, root)
    found = api.confirm_study("s", top=1, seeds=1, folds=2)
    assert [run.state for run in found.repeats] == [TrialState.COMPLETE] * 2
    _, refit = api.refit_study("s", epochs=1)
    assert (refit.state, bool(refit.checkpoint)) == (TrialState.COMPLETE, True), refit.ended
    for candidate in ("best", "refit"):
        done = export_study("s", candidate=candidate, output=candidate)
        assert json.loads((done.folder / "candidate.json").read_text()) == study.trials[0].candidate
    assert done.facts.trial is None


@pytest.mark.slow
@EVERY
def test_it_is_measured_in_integers_or_says_which_tasks_are(task: str, root: Path) -> None:
    pytest.importorskip("onnxruntime")
    goals = f"objectives: [{metric_of(task)}, {{quantised: int8}}]"
    if not tasks()[task].quantises:
        with pytest.raises(UserError, match=f"networks are quantised for the tasks .*; this study's is {task}"):
            ran(task, root, goals)
        return
    (trial,) = ran(task, root, goals).trials
    assert (trial.objectives or {}).keys() == {metric_of(task), "quantised"}
