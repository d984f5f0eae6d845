"""Contenders as commands: train within the budget, then, outside it, say what the test images show."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

from peers.train import PEERS
from quality import ours
from quality.accounting import Spent, run
from quality.runs import Question, Run

ROOT = Path(__file__).parents[3]
OURS = "ftsearch"
NAMES = (*PEERS, OURS)
BEYOND = 1.5
"""A contender is killed at this multiple of its budget, and half a minute."""


@dataclass(frozen=True)
class Place:
    """What all contenders share: the sets' folder, the file of pretrained weights, a folder to work in."""

    sets: Path
    weights: Path
    folder: Path

    @property
    def environment(self) -> dict[str, str]:
        paths = [str(ROOT / "tests/benchmarks"), str(ROOT), os.environ.get("PYTHONPATH", "")]
        return {"PYTHONPATH": os.pathsep.join(filter(None, paths)), "FTSEARCH_CACHE": str(self.folder / "cache")}


def answer(question: Question, place: Place) -> Run:
    """Return what a contender made of a question; ``place.folder`` is empty and its own."""
    load = os.getloadavg()[0]
    environment = place.environment | {
        name: str(question.threads) for name in ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    }
    ask = _ask_ours if question.contender == OURS else _ask_peer
    return ask(question, place, environment, load)


def _ask_peer(question: Question, place: Place, environment: dict[str, str], load: float) -> Run:
    model = place.folder / "model.pt"
    command = [
        *(sys.executable, "-m", "peers.train", question.contender),
        *("--set", str(place.sets / question.set), "--backbone", question.backbone, "--weights", str(place.weights)),
        *("--input-size", str(question.input_size), "--budget", str(question.budget_s)),
        *("--seed", str(question.seed), "--model", str(model)),
    ]
    spent = run(command, limit_s=limit_of(question), folder=place.folder, environment=environment)
    if spent.code or not model.exists():
        return Run(question, 0, 0, spent.cpu_s, spent.wall_s, load, version(), failure=why(spent))
    test = place.sets / question.set / "test"
    scored = run(
        [sys.executable, "-m", "peers.score", str(model), str(test)],
        limit_s=1000, folder=place.folder, environment=environment,
    )  # fmt: skip
    classes = sorted(path.name for path in (place.sets / question.set / "train").iterdir() if path.is_dir())
    said = {Path(name): classes[label] for name, label in json.loads(scored.output).items()}
    hits, images = counted(said, test)
    return Run(question, hits, images, spent.cpu_s, spent.wall_s, load, version())


def _ask_ours(question: Question, place: Place, environment: dict[str, str], load: float) -> Run:
    study = ours.Study(question, place.sets / question.set, place.folder, environment)
    spent = study.search(limit_of(question))
    failure = "" if study.model.exists() else why(spent)
    facts, parts = study.facts(spent), study.parts(spent)
    cpu_s, wall_s = study.totals
    if failure:
        return Run(question, 0, 0, cpu_s, wall_s, load, version(), parts, facts, failure)
    test = place.sets / question.set / "test"
    rows = csv.DictReader(io.StringIO(study.predicted(test, "--top", "1", "--csv")))
    hits, images = counted({Path(row["file"]): row["class"] for row in rows if row["rank"] == "1"}, test)
    return Run(question, hits, images, cpu_s, wall_s, load, version(), parts, facts)


def limit_of(question: Question) -> float:
    return BEYOND * question.budget_s + 30


def counted(said: dict[Path, str], test: Path) -> tuple[int, int]:
    """Return how many test images were named rightly, and how many there are: one without an answer is wrong."""
    images = [path for path in test.rglob("*") if path.suffix.lower() in {".jpg", ".jpeg", ".png", ".bmp", ".webp"}]
    hits = sum(said.get(path) == path.relative_to(test).parts[0] for path in images)
    return hits, len(images)


def why(spent: Spent) -> str:
    """Return in one line why there is no model."""
    lines = [line for line in (spent.errors or spent.output).splitlines() if line.strip()]
    said = lines[-1].strip() if lines else "said nothing"
    return f"killed after {spent.cpu_s:.0f} CPU seconds" if spent.killed else f"exit {spent.code}: {said}"


def version() -> str:
    """Return the commit that is measured."""
    asked = subprocess.run(
        ["git", "describe", "--always", "--dirty"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    return asked.stdout.strip() or "unknown"
