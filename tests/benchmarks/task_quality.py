"""What a search gives for texts, masks and boxes: the default search against the plain recipe.

    python tests/benchmarks/task_quality.py --task text --data FOLDER --samples 600 --budget 120 --json text.json

``plain`` is the plain recipe alone: the file that ``ftsearch init`` writes with one trial and no portfolio; that trial
finds by validation how many epochs to train for, the final training is on train and validation data together. It has
no limit, and the seconds that it took are told. ``ftsearch`` is the same file with nothing changed but input size and
budget, in CPU seconds of the whole process tree, as in ``model_quality.py``. Test data are looked at once, afterwards:
accuracy of texts, mean IoU of masks, COCO's mAP of boxes, each computed by others' libraries. What stands in the JSON
file is not run again; ``--again`` names contenders that are measured anew.

FOLDER has ``train.tsv`` (``dev.tsv``, ``test.tsv``), ``train``, ``val`` and ``test`` of ``images`` and ``masks``, or
Pascal VOC's; without a test part, a fifth of the training part is set aside as one.
"""

from __future__ import annotations

import argparse
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path

from quality import comparison, contenders, ours, task_scores, task_sets
from quality.contenders import OURS, Place
from quality.runs import Question, Run, complete

PLAIN = "plain"
NAMES = (PLAIN, OURS)
BACKBONES = {"text": "all-minilm-l6-v2", "segmentation": "mobilenet_v2", "detection": "mobilenet_v2"}
METRICS = {"text": "accuracy", "segmentation": "mean IoU", "detection": "mAP"}
ALONE = {"trials": 1, "portfolio": "off", "timeout": None}
"""The section ``search`` of the plain recipe's study."""
_PATIENCE = 20
"""The plain recipe is killed at this multiple of the budget."""


def asked(given: argparse.Namespace) -> list[Question]:
    """Return what is asked, so ordered that a measurement cut short has compared both contenders."""
    name = given.data.name + (f" {given.samples}" if given.samples else "")
    backbone = given.backbone or BACKBONES[given.task]
    return [
        Question(name, one, given.budget, seed, backbone, given.input_size, given.threads)
        for seed in range(given.seeds)
        for one in given.contenders
    ]


def measured(question: Question, given: argparse.Namespace, place: Place) -> Run:
    """Return what a contender made of a question; ``place.folder`` is empty and its own."""
    load = os.getloadavg()[0]
    threads = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS")
    environment = place.environment | {name: str(question.threads) for name in threads}
    data = task_sets.prepared(given.task, place.sets, place.folder / "data", given.samples)
    changes = ALONE if question.contender == PLAIN else {}
    study = ours.Study(question, data.learn, place.folder, environment, changes)
    limit = _PATIENCE * question.budget_s if changes else contenders.limit_of(question)
    spent = study.search(limit)
    facts, parts = study.facts(spent), study.parts(spent)
    facts["ways"] = study.ways()
    cpu_s, wall_s = study.totals
    there = study.model.exists()
    return Run(
        question, 0, 0, cpu_s, wall_s, load, contenders.version(), parts, facts,
        "" if there else contenders.why(spent), _score(study, given, data, place.folder) if there else None,
    )  # fmt: skip


def _score(study: ours.Study, given: argparse.Namespace, data: task_sets.TaskSet, folder: Path) -> float:
    masks = folder / "masks"
    options = ["--masks", str(masks)] if given.task == "segmentation" else []
    options += ["--threshold", "0.05"] if given.task == "detection" else []
    printed = study.predicted(data.test, "--json", *options)
    return task_scores.of_task(given.task, printed, masks, data.truth, given.ignore)


def report(runs: Sequence[Run], task: str) -> Iterator[str]:
    """Yield the table: a row per contender, a column per seed, and the mean difference."""
    seeds = sorted({run.asked.seed for run in runs})
    table: dict[str, dict[int, Run]] = {}
    for run in runs:
        table.setdefault(run.asked.contender, {})[run.asked.seed] = run
    one = runs[0].asked
    yield f"{one.set}, {one.backbone}, {one.input_size} px, {one.budget_s:g} CPU s: {METRICS[task]} on test data in %"
    yield f"{'':12}" + "".join(f"{f'seed {seed}':>10}" for seed in seeds) + f"{'mean':>10}{'CPU s':>10}"
    for name, row in table.items():
        cells = [f"{100 * row[seed].accuracy:.1f}" if seed in row else "" for seed in seeds]
        mean = comparison.mean_of([run.accuracy for run in row.values()]).value
        seconds = comparison.mean_of([run.cpu_s for run in row.values()]).value
        yield f"{name:12}" + "".join(f"{cell:>10}" for cell in cells) + f"{100 * mean:10.1f}{seconds:10.0f}"
        yield from (f"  no model: seed {seed}: {run.failure}" for seed, run in row.items() if run.failure)
    both = [seed for seed in seeds if all(seed in row for row in table.values())]
    if len(table) == len(NAMES) and both:
        gain = comparison.mean_of([table[OURS][seed].accuracy - table[PLAIN][seed].accuracy for seed in both])
        half = "" if gain.half is None else f" ± {100 * gain.half:.1f} (95 %, {len(both)} seeds)"
        yield f"{OURS} against the plain recipe: {100 * gain.value:+.1f}{half} points"
    for run in table.get(OURS, {}).values():
        parts = ", ".join(f"{name} {value:.0f}" for name, value in run.parts.items())
        yield f"seed {run.asked.seed}: {run.facts.get('trials')}; {run.facts.get('winner')}; CPU s: {parts}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--task", choices=tuple(METRICS), required=True)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--samples", type=int, help="so many training samples, a third as many for validation")
    parser.add_argument("--budget", type=float, required=True, help="CPU seconds of the search")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--input-size", type=int, default=128, help="the longer side, in pixels")
    parser.add_argument("--ignore", type=int, nargs="*", default=[], help="values of masks that are not scored")
    parser.add_argument("--backbone", help="by default a small one")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument(
        "--json", type=Path, required=True, help="results are added here; those there are not run again"
    )
    parser.add_argument("--again", type=lambda text: text.split(","), default=[], help="contenders measured anew")
    parser.add_argument("--keep", type=Path, help="keep the folder of every run here")
    given = parser.parse_args()
    if unknown := sorted({*given.contenders, *given.again} - set(NAMES)):
        parser.error(f"no contender {unknown[0]!r}; there are {', '.join(NAMES)}")

    def measure(question: Question) -> Run:
        folder = Path(tempfile.mkdtemp(prefix="ftsearch-tasks-", dir=given.keep))
        try:
            run = measured(question, given, Place(given.data.absolute(), Path(), folder))
        finally:
            if given.keep is None:
                shutil.rmtree(folder, ignore_errors=True)
        said = run.failure or f"{100 * run.accuracy:.1f} %"
        what = f"{question.set}, {question.contender}, seed {question.seed}"
        print(f"{time.strftime('%H:%M:%S')} {what}: {said}, {run.cpu_s:.1f} CPU s", file=sys.stderr, flush=True)
        return run

    print("\n".join(report(complete(given.json, asked(given), measure, given.again), given.task)))


if __name__ == "__main__":
    main()
