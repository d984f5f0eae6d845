"""What several trainings of one candidate give as one of them, as the mean of their weights, and as branches.

    python tests/benchmarks/branches.py --data FOLDER_OF_SETS [--trainings 4] [--sets NAME ...]

FOLDER_OF_SETS holds sets; a set is ``train``, ``val`` and ``test`` with a folder per class. Members of the portfolio,
on larger maps, are trained on training and validation images with the data in several orders, as the final model of a
search is. Test accuracy in %: mean of the trainings; of each beside the network before training, its head solved; mean
of all weights (a dash where it would be discarded); mean of all outputs, which is what branches compute, without and
with the network before training. Means over sets come last.
"""

from __future__ import annotations

import argparse
import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from statistics import fmean

import torch
from torch import Tensor

from search.data import resampling
from search.data.sample import Split
from search.records.study import Verdict
from search.runtime.study_runtime import StudyRuntime, open_runtime
from search.spec.load import from_data
from search.training.fit import fit
from search.trials import portfolio, soup, start_branch
from search.trials.resampled import fresh_seed, resampled
from spaces.candidate import Candidate
from spaces.decisions.stride import STEM
from spaces.networks import branches
from spaces.networks.build import Network
from spaces.networks.described_candidates import fulfilled

MEMBERS = ("last stage, CutMix", "last two stages")
COLUMNS = ("one", "one + start", "mean", "branches", "branches + start")
SHARE = 0.5
"""Share of the epochs that a search with a limit of some minutes trains for."""


def opened(folder: Path, backbone: str, side: int) -> StudyRuntime:
    spec = {
        "name": folder.name,
        "data": {"format": "image_folder", "path": str(folder)},
        "backbone": backbone,
        "input_size": side,
        "space": {
            "freeze": {},
            "stride": {"max_growth": 16},
            "mixing": {},
            "optimizer": {},
            "weight_average": {},
            "epochs": {"shares": [1.0, SHARE]},
        },
    }
    return open_runtime(from_data(spec, base=Path.cwd()), "auto")


def compared(whole: StudyRuntime, candidate: Candidate, count: int) -> tuple[int, list[float]]:
    """Return how many branches a final model would have, and the accuracies in the order of ``COLUMNS``."""
    own = resampled(whole, resampling.joined(whole.dataset), candidate, 0)
    network, trained = own.build(candidate, 0), []
    for member in range(count):
        network = own.build(candidate, 0)
        seed = fresh_seed(0, f"member {member}")
        plan = own.plan(candidate, seed, lambda _: Verdict.CONTINUE, lambda: False, None, network)
        trained.append(fit(network, replace(plan, validates=False)))
    trained.sort(key=lambda one: one.epochs[-1].train_loss)
    weights = [one.weights for one in trained]
    mean = soup.averaged(own, candidate, network, weights, plan)
    start = start_branch.start_of(own, candidate, network, plan)
    if start is None:
        raise SystemExit(f"{candidate.structure.backbone} does not start with a solved head on {whole.spec.name}")
    labels = torch.tensor([sample.target for sample in whole.dataset.of(Split.TEST)])

    def accuracy(found: Tensor) -> float:
        return 100 * float((found.argmax(dim=1) == labels).float().mean())

    def of(several: Sequence[Mapping[str, Tensor]]) -> float:
        return accuracy(torch.stack([outputs(whole, candidate, network, one) for one in several]).mean(dim=0))

    def beside(several: Sequence[Mapping[str, Tensor]]) -> float:
        return of(start_branch.beside_start(own, candidate, network, several, start, plan))

    return branches.count_for(network, count + 1), [
        fmean(of([one]) for one in weights),
        fmean(beside([one]) for one in weights),
        of([mean]) if mean else math.nan,
        of(weights),
        beside(weights),
    ]


@torch.inference_mode()
def outputs(whole: StudyRuntime, candidate: Candidate, network: Network, weights: Mapping[str, Tensor]) -> Tensor:
    """Return logits ``(N, classes)`` of the test images."""
    network.load_state_dict(weights)
    network.eval()
    found = []
    for images, _ in whole.batches(Split.TEST, candidate=candidate).epoch(1):
        with whole.precision.autocast():
            found.append(network(whole.precision.place(images)).float().cpu())
    return torch.cat(found)


def row(values: Sequence[float]) -> str:
    texts = ("-" if math.isnan(value) else f"{value:.1f}" for value in values)
    return "  ".join(text.rjust(len(name)) for text, name in zip(texts, COLUMNS, strict=True))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--sets", nargs="+", help="names of sets; all by default")
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--size", type=int, default=128)
    parser.add_argument("--trainings", type=int, default=4)
    given = parser.parse_args()
    known = {one.name: one for one in portfolio.members("classification", "images")}
    sets = sorted(path for path in given.data.iterdir() if (path / "test").is_dir())
    print(f"{'set':12} {'candidate':20} {'limit':>5}  {'  '.join(COLUMNS)} (of {given.trainings} trainings)")
    every: dict[str, list[list[float]]] = {name: [] for name in MEMBERS}
    for folder in sets:
        if given.sets and folder.name not in given.sets:
            continue
        whole = opened(folder, given.backbone, given.size)
        for name in MEMBERS:
            wishes = {**known[name].wishes, "stride": STEM, "epochs": SHARE}
            candidate = fulfilled(whole.space, wishes, known[name].needs)
            if candidate is None:
                raise SystemExit(f"{given.backbone} has no candidate {name!r}")
            count, found = compared(whole, candidate, given.trainings)
            every[name].append(found)
            print(f"{folder.name:12} {name:20} {count:5}  {row(found)}", flush=True)
    for name, rows in every.items():
        print(f"{'mean':12} {name:20} {'':5}  {row([fmean(column) for column in zip(*rows, strict=True)])}")


if __name__ == "__main__":
    main()
