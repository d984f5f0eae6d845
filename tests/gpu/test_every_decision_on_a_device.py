"""Two epochs with every decision on a stand-in of a GPU: no tensor stays on the host, whatever is decided."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from by_path import module_at
from cuda_standin import stand_in

from search.records.study import EpochRecord, Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import load_spec
from search.training.fit import fit
from spaces.candidate import Candidate
from spaces.decisions import detector, length, mixing, optimizer, patch, penalty, registry, resolution
from spaces.networks.space import Random, Space

TASKS = module_at("gpu/test_every_task_on_a_device.py")
DECISIONS = registry()
NETWORKS = {
    "patch": "timm:test_vit",
    **dict.fromkeys(("batch_norm", "skip", "width"), "mobilenet_v3_small"),
}
"""Where the network of the other tests has nothing to decide."""
KINDS = {"queries": "rtdetr", "decoder_layers": "dfine"}
"""Kinds of detectors that have what other kinds lack."""
SLOW = ("anchors", "box_head", "decoder_layers", "proposals", "pyramid_width", "queries")
RANGES = {
    "length": length.Range(tokens=(8, 16)),
    "resolution": resolution.Range(scales=(1.0, 2.0), max_growth=8),
    "patch": patch.Range(sizes=(8, 16), max_growth=8),
    "mixing": mixing.Range(kinds=("mixup", "cutmix")),
    "optimizer": optimizer.Range(names=("adamw",)),
    "penalty": penalty.Range(kinds=("l1",)),
}


def opened(name: str, root: Path) -> StudyRuntime:
    """Return the runtime, on the stand-in, of a study whose only decision is the one of that name."""
    tasks = DECISIONS[name].tasks
    path = TASKS.study(tasks[0] if tasks else "classification", root, augmentation="none", precision="float32")
    if name in NETWORKS:
        path.write_text(path.read_text().replace("squeezenet1_1", NETWORKS[name]))
    runtime = open_runtime(load_spec(path), "cuda")
    ranges = {name: RANGES.get(name, DECISIONS[name].options())}
    if name in KINDS:
        ranges["detector"] = detector.Range(kinds=(KINDS[name],))
    return replace(runtime, space=Space(runtime.pretrained, ranges, runtime.task.name))


def changed(runtime: StudyRuntime, name: str) -> Candidate:
    """Return a candidate that decides otherwise than the plain recipe."""
    plain = runtime.space.values(runtime.space.baseline())[name]
    drawn = (runtime.space.sample(Random(seed)) for seed in range(50))
    return next(one for one in drawn if runtime.space.values(one)[name] != plain)


@pytest.mark.parametrize(
    "name", [pytest.param(one, marks=pytest.mark.slow) if one in SLOW else one for one in DECISIONS]
)
def test_no_decision_leaves_a_tensor_on_the_host_or_makes_it_wait(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ends: list[int] = []
    with stand_in() as device:
        runtime = opened(name, tmp_path)
        assert runtime.space.dropped == {}
        candidate = changed(runtime, name)
        network = runtime.build(candidate, 0)

        def ended(record: EpochRecord) -> Verdict:
            ends.append(len(device.waits))
            return Verdict.CONTINUE

        plan = runtime.plan(candidate, 0, ended, lambda: False, None, network)
        fit(network, plan)
        waits: list[Any] = device.waits[ends[0] : ends[1]] if len(ends) > 1 else []
        allowed = TASKS.ENDS + (TASKS.THEIRS if runtime.task.name == "detection" else ())
    assert [wait for wait in waits if not wait[1].startswith(allowed)] == []
