"""The stages of ``check.sh``: each in a process of its own, within what is left of the time, whatever became of others.

``--device cpu`` rehearses them where there is no GPU, on tiny data.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).parents[2]
BENCHMARKS = Path(__file__).parent
STUDY = """\
name: {name}
data: {{path: {data}}}
backbone: {backbone}
weights: none
input_size: {size}
training: {{epochs: {epochs}, batch_size: {batch}, augmentation: light}}
search: {{trials: {trials}, seed: 3, pruner: none, portfolio: off, final: off, parallel_heads: 1}}
"""


@dataclass(frozen=True)
class Stage:
    """A program of the check, the most seconds it may take, and the file it leaves its figures in."""

    name: str
    command: Sequence[str]
    seconds: float
    figures: Path | None = None


@dataclass
class Check:
    """What has been found, written after every stage: a run that is cut short leaves what it has."""

    out: Path
    work: Path
    ends: float
    found: dict[str, Any] = field(default_factory=dict)

    def run(self, stage: Stage) -> None:
        left = self.ends - time.monotonic()
        if left < 5:
            self.keep(stage.name, {"state": "no time left"})
            return
        begin = time.monotonic()
        with (self.out / "check.log").open("a") as log:
            log.write(f"\n== {stage.name}: {' '.join(stage.command)}\n")
            log.flush()
            process = subprocess.Popen(
                stage.command, cwd=self.work, stdout=log, stderr=subprocess.STDOUT, start_new_session=True
            )
            try:
                code = process.wait(min(stage.seconds, left - 2))
                state = "done" if code == 0 else f"failed ({code})"
            except subprocess.TimeoutExpired:
                os.killpg(process.pid, signal.SIGKILL)  # its session: it has processes of its own
                process.wait()
                state = "cut short"
        figures = json.loads(stage.figures.read_text()) if stage.figures and stage.figures.exists() else {}
        self.keep(stage.name, {"state": state, "seconds": round(time.monotonic() - begin, 1), **figures})

    def keep(self, name: str, value: dict[str, Any]) -> None:
        self.found[name] = value
        (self.out / "gpu.json").write_text(json.dumps(self.found, indent=2))
        print(f"{name:>28}  {value.get('state', '')} {value.get('seconds', '')}", flush=True)


def outcomes(log: Path) -> dict[str, int]:
    """Return how many tests passed, failed and were skipped, from pytest's last line in ``log``."""
    counts = re.findall(r"(\d+) (passed|failed|skipped|error)", log.read_text(errors="replace"))
    return {word: int(count) for count, word in counts}


def draw(folder: Path, images: int, side: int) -> Path:
    """Draw a set: train, val and test with four classes, each a hue with noise."""
    import numpy as np
    from PIL import Image

    random = np.random.default_rng(0)
    for part, share in (("train", 4), ("val", 1), ("test", 1)):
        for number in range(images * share // 6):
            kind = number % 4
            pixels = random.integers(0, 90, (side, side, 3), dtype=np.uint8)
            pixels[..., kind % 3] += 120 if kind < 3 else 40
            place = folder / "drawn" / part / f"class{kind}" / f"{number:05d}.jpg"
            place.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(pixels).save(place, quality=90)
    return folder


def stages(given: argparse.Namespace, sets: Path, work: Path) -> list[Stage]:
    """Return what is run, in this order."""
    small = given.device == "cpu"
    slack = 3 if small else 1  # a rehearsal may have to share its processor
    name = sorted(path.name for path in sets.iterdir() if (path / "train").is_dir())[0]
    python, size, budget = sys.executable, "32" if small else "224", "15" if small else "30"
    own = [python, str(Path(__file__)), "--device", given.device, "--data", str(sets / name)]
    seconds, batch = ("1", "8") if small else ("6", "128")
    existing = ["search/training/test_precision.py", "search/data/test_batches.py"]
    tests = [str(ROOT / "tests" / path) for path in ("gpu", *existing)]
    found = [
        Stage("tests", [python, "-m", "pytest", "-q", "-m", "gpu", "-n", "2" if small else "6", "-p",
                        "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), *tests], 200 * slack)
    ]  # fmt: skip
    for backbone in ["mobilenet_v3_small"] if small else ["resnet50", "vit_b_16"]:
        figures = work / f"gpu_trial_{backbone}.json"
        found.append(
            Stage(f"gpu_trial {backbone}",
                  [python, str(BENCHMARKS / "gpu_trial.py"), "--data", str(sets / name), "--backbone", backbone,
                   "--input", size, "--batch", batch, "--workers", "2" if small else "8", "--seconds", seconds,
                   "--device", given.device, "--json", str(figures)], 90 * slack, figures)
        )  # fmt: skip
    figures = work / "trial_cost.json"
    found.append(
        Stage("trial_cost",
              [python, str(BENCHMARKS / "trial_cost.py"), "--data", str(sets / name), "--weights", "none",
               "--epochs", "1", "--input", size, "--shares", "0", "0.8", "--backbone",
               "mobilenet_v3_small" if small else "resnet50", "--json", str(figures)], 90 * slack, figures)
    )  # fmt: skip
    found.append(
        Stage("model_quality",
              [python, str(BENCHMARKS / "model_quality.py"), "--data", str(sets), "--sets", name, "--contenders",
               "linear,ftsearch", "--budget", budget, "--seeds", "1", "--input-size", "64" if small else "128",
               "--json", str(work / "quality.json")], 90 * slack)
    )  # fmt: skip
    figures = work / "heads.json"
    found.append(
        Stage("heads", [python, str(BENCHMARKS / "heads.py"), "--data", str(sets / name), "--size", size,
                        "--heads", "4" if small else "32", "--epochs", "1",
                        "--json", str(figures)], 60 * slack, figures)
    )  # fmt: skip
    for kind in ("workers", "memory"):
        figures = work / f"{kind}.json"
        found.append(Stage(kind, [*own, "--out", str(work), "--only", kind], 90 * slack, figures))
    return found


def searched(given: argparse.Namespace, name: str, workers: int, **changes: object) -> tuple[float, Any]:
    """Return the seconds that a study takes, and the study."""
    from search import api

    small = given.device == "cpu"
    values = {
        "backbone": "squeezenet1_1", "size": 32 if small else 128, "epochs": 1 if small else 4,
        "batch": 8 if small else 32, "trials": 4,
    } | changes  # fmt: skip
    path = Path(f"{name}.yaml")
    path.write_text(STUDY.format(name=name, data=given.data, **values))
    begin = time.monotonic()
    study = api.run_study(path, report=False, device=given.device, workers=workers).study
    return time.monotonic() - begin, study


def workers(given: argparse.Namespace) -> dict[str, Any]:
    """Return what two workers on one device are worth, their processes' start left out."""
    import torch

    from search.records.study import TrialState

    torch.set_num_threads(1)
    trials = []
    spans: dict[str, float] = {}
    for count in (1, 2):
        # One worker works in this process, two are started: so each is timed from its first trial to its last.
        _, study = searched(given, f"shared{count}", count, trials=4 if given.device == "cpu" else 12)
        trials = [trial for trial in study.trials if trial.started_at and trial.finished_at]
        span = max(trial.finished_at for trial in trials) - min(trial.started_at for trial in trials)
        spans[str(count)] = span.total_seconds()
        assert all(trial.state is TrialState.COMPLETE for trial in study.trials), study.trials
    return {"trials": len(trials), "seconds_of_one": spans["1"], "seconds_of_two": spans["2"],
            "ratio": spans["1"] / spans["2"]}  # fmt: skip


def memory(given: argparse.Namespace) -> dict[str, Any]:
    """Return how a study went of which no whole batch fits; on a CPU the lack of memory is rehearsed."""
    import torch

    from search.training.epoch import Step

    if given.device == "cuda":
        whole = torch.cuda.get_device_properties(0).total_memory
        torch.cuda.set_per_process_memory_fraction((3 << 30) / whole)
        _, study = searched(given, "short", 1, backbone="resnet50", size=224, batch=256, trials=1, epochs=1)
        return {"micro_batch": study.trials[0].extras["micro_batch"], "trial": study.trials[0].state.value,
                "peak_bytes": torch.cuda.max_memory_allocated()}  # fmt: skip
    plain = Step.run

    def limited(self: Step, images: Any, targets: Any) -> Any:
        whole = self.forward

        def forward(network: Any, inputs: Any) -> Any:
            if len(inputs) > 4:
                raise torch.OutOfMemoryError("out of memory (rehearsed)")
            return whole(network, inputs)

        self.forward = forward
        try:
            return plain(self, images, targets)
        finally:
            self.forward = whole

    Step.run = limited  # type: ignore[method-assign]
    _, study = searched(given, "short", 1, trials=1)
    return {"micro_batch": study.trials[0].extras["micro_batch"], "trial": study.trials[0].state.value}


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--out", type=Path, default=Path("gpu-check"), help="where gpu.json and check.log go")
    parser.add_argument("--limit", type=float, default=480.0, help="seconds after which it ends with what it has")
    parser.add_argument("--data", type=Path, help="sets of train/, val/ and test/; drawn by default")
    parser.add_argument("--only", choices=("workers", "memory"), help=argparse.SUPPRESS)
    given = parser.parse_args()
    given.out = given.out.absolute()
    return given


def main() -> None:
    given = arguments()
    given.out.mkdir(parents=True, exist_ok=True)
    (given.out / "check.log").touch()
    if given.only:
        with tempfile.TemporaryDirectory() as folder:
            os.chdir(folder)
            found = {"workers": workers, "memory": memory}[given.only](given)
        (given.out / f"{given.only}.json").write_text(json.dumps(found, indent=2))
        return
    begin = time.monotonic()
    import torch
    import torchvision

    work = Path(tempfile.mkdtemp(prefix="gpu-check-"))
    os.environ["FTSEARCH_CACHE"] = str(work / "cache")
    if given.device == "cpu":
        os.environ.update(FTSEARCH_GPU_REHEARSAL="cpu", CUDA_VISIBLE_DEVICES="")
    check = Check(given.out, work, begin + given.limit)
    is_gpu = given.device == "cuda" and torch.cuda.is_available()
    check.keep("machine", {
        "device": torch.cuda.get_device_name() if is_gpu else "no GPU: a rehearsal", "torch": torch.__version__,
        "torchvision": torchvision.__version__, "python": platform.python_version(), "cores": os.cpu_count(),
    })  # fmt: skip
    if given.device == "cuda" and not is_gpu:
        sys.exit("no GPU here; rehearse with --device cpu")
    sets = given.data.absolute() if given.data else draw(work / "sets", *((48, 64) if not is_gpu else (1200, 256)))
    for stage in stages(given, sets, work):
        check.run(stage)
        if stage.name == "tests":
            check.found["tests"] |= outcomes(given.out / "check.log")
    shutil.rmtree(work, ignore_errors=True)
    check.keep("whole", {"state": "done", "seconds": round(time.monotonic() - begin, 1)})
    print("\n".join(summary(check.found)))


def summary(found: dict[str, Any]) -> list[str]:
    """Return every number that was found, a line each."""
    return [
        f"{name}: " + ", ".join(f"{key} {value:.4g}" if isinstance(value, float) else f"{key} {value}"
                                for key, value in stage.items() if isinstance(value, str | int | float))
        for name, stage in found.items()
    ]  # fmt: skip


if __name__ == "__main__":
    main()
