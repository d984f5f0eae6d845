"""ftsearch as a user has it: ``init``, input size and budget changed, ``run``, what it ships, ``predict``.

Public commands only; ``run`` has a clock that counts CPU seconds. ``init`` is not counted, as nobody counts writing a
training script; ``run`` is, and ``export`` where ``run`` has left no model.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import datetime
from itertools import pairwise
from pathlib import Path
from typing import Any

import yaml
from quality.accounting import Spent, run
from quality.runs import Question

START_S = 5.5
"""CPU seconds of the budget before ``run`` looks at its clock and after it has ended: imports, the report."""


class Study:
    """One study in a folder of its own, driven by commands.

    Args:
        search: keys of the study file's section ``search`` that differ from what ``init`` writes.
    """

    def __init__(
        self,
        question: Question,
        data: Path,
        folder: Path,
        environment: dict[str, str],
        search: Mapping[str, Any] | None = None,
    ) -> None:
        self._question, self._data, self._folder, self._search = question, data, folder, dict(search or {})
        self._environment = environment | {"FTSEARCH_STORAGE": f"sqlite:///{folder}/store.db"}
        self._name = "study"
        self._spent: list[Spent] = []

    @property
    def model(self) -> Path:
        """The folder of the model that is shipped."""
        return self._folder / "runs" / self._name / "model"

    @property
    def totals(self) -> tuple[float, float]:
        """CPU and wall seconds until the model was there."""
        return sum(one.cpu_s for one in self._spent), sum(one.wall_s for one in self._spent)

    def search(self, limit_s: float) -> Spent:
        """Write the study file, run it, and export its winner where the run has not; return what the run took."""
        file = self._folder / "study.yaml"
        self._ask("init", str(self._data), "--backbone", self._question.backbone, "-o", str(file))
        file.write_text(yaml.safe_dump(self._changed(yaml.safe_load(file.read_text())), sort_keys=False))
        spent = self._counted("run", str(file), limit_s=limit_s)
        if not self.model.exists():
            self._counted("export", self._name, limit_s=limit_s)
        return spent

    def predicted(self, place: Path, *options: str) -> str:
        """Return what ``ftsearch predict`` prints of a folder or file."""
        return self._ask("predict", str(self.model), str(place), *options)

    def parts(self, spent: Spent) -> dict[str, float]:
        """Return where the CPU seconds went: before the first trial, trials by how they ended, afterwards, export."""
        trials = self._trials()
        spans = [
            (
                trial["state"],
                *(datetime.fromisoformat(trial[name]).timestamp() for name in ("started_at", "finished_at")),
            )
            for trial in trials
            if trial["started_at"] and trial["finished_at"]
        ]
        return by_part(spent, spans) | {"export": sum(one.cpu_s for one in self._spent[1:])}

    def facts(self, spent: Spent) -> dict[str, object]:
        """Return trials by how they ended, and the winner in words."""
        trials = self._trials()
        best = max(
            (trial for trial in trials if trial["value"] is not None), key=lambda one: one["value"], default=None
        )
        return {
            "trials": dict(Counter(trial["state"] for trial in trials)),
            "best_validation": best and best["value"],
            "winner": best and best["words"],
        }

    def ways(self) -> list[dict[str, Any]]:
        """Return every trial: how it was found, how it ended, its value and seconds."""
        return [
            {name: trial.get(name) for name in ("number", "words", "state", "value", "seconds", "ended", "extras")}
            for trial in self._trials()
        ]

    def _changed(self, study: dict[str, Any]) -> dict[str, Any]:
        study["name"] = self._name
        if "input_size" in study:
            study["input_size"] = _fitted(study["input_size"], self._question.input_size)
        study["search"]["seed"] = self._question.seed
        study["search"]["timeout"] = max(1.0, self._question.budget_s - START_S)
        study["search"] |= self._search
        return study

    def _trials(self) -> list[dict[str, Any]]:
        return json.loads(self._ask("trials", self._name, "--json"))

    def _counted(self, *words: str, limit_s: float) -> Spent:
        command = [sys.executable, "-m", "quality.cpu_clock", *words]
        spent = run(command, limit_s=limit_s, folder=self._folder, environment=self._environment)
        self._spent.append(spent)
        return spent

    def _ask(self, *words: str) -> str:
        """Return what a command prints; what it takes is not counted."""
        asked = subprocess.run(
            self._command(*words), cwd=self._folder, env={**os.environ, **self._environment},
            capture_output=True, text=True, check=False,
        )  # fmt: skip
        if asked.returncode:
            raise RuntimeError(f"ftsearch {words[0]} ended with {asked.returncode}: {asked.stderr.strip()[-500:]}")
        return asked.stdout

    def _command(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "search", *words]


def _fitted(drafted: int | list[int], side: int) -> int | list[int]:
    """Return ``side``, or a height and width of the shape that was drafted, the longer one ``side``, in cells of 32."""
    if isinstance(drafted, int):
        return side
    return [max(round(part * side / max(drafted) / 32), 2) * 32 for part in drafted]


def by_part(spent: Spent, spans: Sequence[tuple[str, float, float]]) -> dict[str, float]:
    """Return the CPU seconds of a run by part: ``start``, each kind of span, ``between`` them, and ``end``.

    Args:
        spans: kind, first and last moment (``time.time()``); what several at one time took is shared equally.
    """
    parts: dict[str, float] = {}
    begin, end = spent.samples[0][0], spent.samples[-1][0]
    first, last = min((one for _, one, _ in spans), default=end), max((one for _, _, one in spans), default=end)
    edges = sorted({begin, end, *(edge for _, *span in spans for edge in span if begin < edge < end)})
    for left, right in pairwise(edges):
        taken = spent.cpu_at(right) - spent.cpu_at(left)
        active = [kind for kind, since, until in spans if since <= left and until >= right]
        outside = "start" if right <= first else "end" if left >= last else "between"
        for kind in active or [outside]:
            parts[kind] = parts.get(kind, 0.0) + taken / max(1, len(active))
    return parts
