"""What larger maps give where images are smaller than those of the pretraining: linear probes, by image size.

    python tests/benchmarks/larger_maps.py --data FOLDER_OF_SETS [--sizes 96 128 160 192 224]

FOLDER_OF_SETS holds sets; a set is ``train``, ``val`` and ``test`` with a folder per class. At every size, the last
layer is solved on the features of the frozen network, of training and validation images, as a linear probe of a search
is; once with the network as it is and once with a stem stride of 1. Test accuracy in %, and CPU seconds per set.
"""

from __future__ import annotations

import argparse
import time
from dataclasses import replace
from pathlib import Path
from statistics import fmean

from search.data import resampling
from search.data.sample import Split
from search.records.study import Verdict
from search.runtime.study_runtime import open_runtime
from search.spec.load import from_data
from search.training.fit import fit
from search.trials.resampled import resampled
from spaces.decisions.stride import STEM
from spaces.networks.described_candidates import fulfilled

PROBE = {"freeze": 1.0}
LARGER = {"freeze": 1.0, "stride": STEM}


def probed(folder: Path, backbone: str, side: int, wishes: dict[str, object]) -> tuple[float, float]:
    """Return test accuracy and CPU seconds of a linear probe on the set in ``folder``."""
    spec = {
        "name": folder.name,
        "data": {"format": "image_folder", "path": str(folder)},
        "backbone": backbone,
        "input_size": side,
        "space": {"freeze": {}, "stride": {"max_growth": 16}},
    }
    begin = time.process_time()
    whole = open_runtime(from_data(spec, base=Path.cwd()), "auto")
    candidate = fulfilled(whole.space, wishes, tuple(wishes))
    if candidate is None:
        raise SystemExit(f"{backbone} has no stride in its stem at {side} px")
    own = resampled(whole, resampling.joined(whole.dataset), candidate, 0)
    network = own.build(candidate, 0)
    plan = own.plan(candidate, 0, lambda _: Verdict.CONTINUE, lambda: False, None, network)
    network.load_state_dict(fit(network, replace(plan, validates=False)).weights)
    evaluator = whole.evaluated(network, whole.batches(Split.TEST, candidate=candidate))
    return 100 * evaluator.compute()["accuracy"], time.process_time() - begin


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--data", type=Path, required=True)
    parser.add_argument("--backbone", default="mobilenet_v2")
    parser.add_argument("--sizes", type=int, nargs="+", default=[96, 128, 160, 192, 224])
    given = parser.parse_args()
    sets = sorted(path for path in given.data.iterdir() if (path / "test").is_dir())
    print(f"{'':22} {'  '.join(path.name for path in sets)}    mean  seconds")
    for side in given.sizes:
        for name, wishes in (("as it is", PROBE), ("stem stride 1", LARGER)):
            found = [probed(path, given.backbone, side, wishes) for path in sets]
            row = "  ".join(
                f"{accuracy:.1f}".rjust(len(path.name)) for path, (accuracy, _) in zip(sets, found, strict=True)
            )
            mean, seconds = (fmean(column) for column in zip(*found, strict=True))
            print(f"{side:4} px {name:14} {row}    {mean:4.1f}  {seconds:7.1f}", flush=True)


if __name__ == "__main__":
    main()
