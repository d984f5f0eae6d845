"""How good a model comes out of a budget: ftsearch against what a skilled user would do without it.

    python tests/benchmarks/model_quality.py --data FOLDER --budget 30 60 240 --seeds 3 --json quality.json

FOLDER holds sets; a set is ``train``, ``val`` and ``test`` with a folder per class. Contenders: ``plain`` (everything
trained by SGD), ``linear`` (logistic regression on frozen features), ``fastai`` (its ``fine_tune``), ``optuna-tpe`` and
``optuna-gp`` (learning rate, weight decay, freeze depth, the tutorial's loop, the median pruner), and ``ftsearch`` (the
study file that ``ftsearch init`` writes, input size and budget changed, ``ftsearch run`` and what it ships).

All have the same backbone, weights, input size, images and CPU seconds of their whole process tree, from the start of
the process to the finished model, and may use training and validation images as they like, a final training on both
included. They stop by their own count; the count that is reported is the kernel's, and a contender that goes on beyond
one and a half times the budget and half a minute is killed. Test images are looked at once, afterwards, in another
process. What stands in the JSON file is not run again, so that a killed measurement goes on where it was; ``--again``
names contenders that are measured anew.
"""

from __future__ import annotations

import argparse
import shutil
import sys
import tempfile
import time
from pathlib import Path

from quality import tables
from quality.contenders import NAMES, OURS, ROOT, Place, answer
from quality.runs import Question, Run, complete


def questions(given: argparse.Namespace) -> list[Question]:
    """Return what is asked, so ordered that a measurement cut short has compared all contenders on something."""
    sets = given.sets or sorted(path.name for path in given.data.iterdir() if (path / "train").is_dir())
    for name in sets:
        missing = [part for part in ("train", "val", "test") if not (given.data / name / part).is_dir()]
        if missing:
            sys.exit(f"{given.data / name} is no set: it needs train/, val/ and test/, {missing[0]}/ is missing")
    if not sets:
        sys.exit(f"{given.data} holds no sets: folders with train/, val/ and test/ in them")
    return [
        Question(data, name, budget, seed, given.backbone, given.input_size, given.threads)
        for seed in range(given.seeds)
        for budget in given.budget
        for data in sets
        for name in given.contenders
    ]


def weights_of(backbone: str) -> Path:
    """Return the file of the weights that ``weights: default`` stands for, for all contenders."""
    sys.path.insert(0, str(ROOT))
    from spaces import backbones
    from spaces.backbones import _weights

    offered = backbones.resolve(backbone).weights
    best = next((one for one in offered if _weights.locate(one.file_name)), offered[0])
    return _weights.find(best.file_name, best.url)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, required=True, help="folder of sets, each with train, val and test")
    parser.add_argument("--sets", type=lambda text: text.split(","), help="of these only: NAME,NAME")
    parser.add_argument("--contenders", type=lambda text: text.split(","), default=list(NAMES), help=",".join(NAMES))
    parser.add_argument("--budget", type=float, nargs="+", required=True, help="CPU seconds; several may be given")
    parser.add_argument("--seeds", type=int, default=3)
    parser.add_argument("--input-size", type=int, default=128, help="pixels")
    parser.add_argument("--backbone", default="mobilenet_v2", help="one of torchvision's")
    parser.add_argument("--threads", type=int, default=1, help="of each process; more of them waste CPU seconds")
    parser.add_argument(
        "--json", type=Path, required=True, help="results are added here; those there are not run again"
    )
    parser.add_argument("--again", type=lambda text: text.split(","), default=[], help="contenders measured anew")
    given = parser.parse_args()
    if unknown := sorted({*given.contenders, *given.again} - set(NAMES)):
        parser.error(f"no contender {unknown[0]!r}; there are {', '.join(NAMES)}")
    asked, weights = questions(given), weights_of(given.backbone)

    def measure(question: Question) -> Run:
        folder = Path(tempfile.mkdtemp(prefix="ftsearch-quality-"))
        try:
            run = answer(question, Place(given.data.absolute(), weights, folder))
        finally:
            shutil.rmtree(folder, ignore_errors=True)
        said = run.failure or f"{100 * run.accuracy:.1f} %"
        what = f"{question.set}, {question.contender}, {question.budget_s:g} s, seed {question.seed}"
        print(f"{time.strftime('%H:%M:%S')} {what}: {said}, {run.cpu_s:.1f} CPU s", file=sys.stderr, flush=True)
        return run

    runs = complete(given.json, asked, measure, given.again)
    print("\n".join(tables.report(runs, OURS)))


if __name__ == "__main__":
    main()
