"""Leave one study out: are candidates of the other studies a better start than what a search draws by itself.

    python tests/benchmarks/suggest.py --storage sqlite:///runs/ftsearch.db
    python tests/benchmarks/suggest.py --data FOLDER --data FOLDER --data FOLDER --backbone squeezenet1_1 --trials 12

For every study of the store (or of those made first, one for each folder) the candidates that the others suggest are
trained on its data with its own number of epochs, each with one seed. Beside it stand what the study's search got from
as many of its own trials, drawn at random (the mean over all draws, from its complete trials), its plain recipe and its
best. Regret is how far something stays behind the best, as a share of what lies between the best and the worst trial.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Sequence
from pathlib import Path
from statistics import mean

from search.api import run_study
from search.new_study import suggest
from search.records.dataset_similarity import traits_of
from search.records.study import StudyRecord, Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import from_data
from search.store import connection, migrate, reading
from search.training.fit import fit
from search.trials.resampled import fresh_seed
from spaces.candidate import Candidate


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--storage", help="a store with at least two studies of one backbone")
    parser.add_argument("--data", action="append", default=[], help="an image folder to search first; again for more")
    parser.add_argument("--backbone", default="squeezenet1_1")
    parser.add_argument("--weights", default="default")
    parser.add_argument("--input-size", type=int, default=64)
    parser.add_argument("--trials", type=int, default=12)
    parser.add_argument("--epochs", type=int, default=4)
    parser.add_argument("--count", type=int, default=3, help="suggestions, and draws beside them")
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        url = given.storage or f"sqlite:///{folder}/store.db"
        for place, data in enumerate(given.data):
            plain = {
                "name": f"{Path(data).name}-{place}",
                "data": {"path": str(Path(data).absolute()), "on_error": "skip"},
                "backbone": given.backbone,
                "weights": given.weights,
                "input_size": given.input_size,
                "training": {"epochs": given.epochs},
                "search": {"trials": given.trials, "pruner": "none", "seed": place},
            }
            run_study(plain, storage=url, report=False, folder=folder)
        compare(url, given.count)


def compare(url: str, count: int) -> None:
    """Print a line for every study, and the means."""
    engine = connection.connect(url)
    migrate.upgrade(engine)
    print(f"{'study':<24}{'suggested':>10}{'drawn':>10}{'plain':>10}{'best':>10}{'regret, suggested : drawn':>28}")
    regrets = []
    for summary in reading.list_studies(engine):
        study = reading.load_study(engine, summary.name, epochs=False)
        sign = 1.0 if study.maximize else -1.0
        done = [sign * (trial.value or 0.0) for trial in study.ranking if not trial.is_baseline]
        if len(done) < count:
            continue
        own = traits_of(study)
        found = suggest.suggest(engine, own, count, backbone=study.backbone, leave_out=[study.name])
        suggested = max(sign * value for value in trained(study, [one.candidate for one in found]))
        drawn, best, worst = expected_best(done, count), max(*done, suggested), min(done)
        spread = max(best - worst, 1e-9)
        regrets.append(((best - suggested) / spread, (best - drawn) / spread))
        plain = study.baseline.value if study.baseline is not None and study.baseline.value is not None else math.nan
        values = "".join(f"{sign * value:>10.4f}" for value in (suggested, drawn, sign * plain, best))
        print(f"{study.name:<24}{values}{regrets[-1][0]:>16.3f} : {regrets[-1][1]:.3f}", flush=True)
    engine.dispose()
    if regrets:
        ours, others = (mean(column) for column in zip(*regrets, strict=True))
        print(f"mean regret of the best of {count}: suggested {ours:.3f}, drawn {others:.3f}")
        print(f"ratio drawn : suggested {others / max(ours, 1e-9):.2f}")


def trained(study: StudyRecord, candidates: Sequence[Candidate]) -> list[float]:
    """Return the study's objective for each candidate, trained once with a fresh seed."""
    spec = from_data(study.spec["study"], text=study.spec_text, base=Path(study.spec["base"]))
    runtime = open_runtime(spec)
    values = []
    for candidate in candidates:
        seed = fresh_seed(spec.search.seed, "suggest")
        network = runtime.build(candidate, seed)
        plan = runtime.plan(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None, network)
        outcome = fit(network, plan)
        values.append(outcome.epochs[(outcome.best_epoch or 1) - 1].metrics[spec.objective])
    return values


def expected_best(values: Sequence[float], count: int) -> float:
    """Return the mean of the largest of ``count`` of ``values`` drawn without putting back."""
    ordered = sorted(values)
    total = math.comb(len(ordered), count)
    return sum(math.comb(place, count - 1) * value for place, value in enumerate(ordered)) / total


if __name__ == "__main__":
    main()
