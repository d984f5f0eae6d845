"""A Ray cluster of two nodes on this machine, one of which is removed while a study runs; counts its trials.

python tests/benchmarks/ray_cluster.py FOLDER
"""

from __future__ import annotations

import os
import sys
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
TRIALS = 24
EPOCH_S = 0.5
INSTANT = str(ROOT / "tests" / "benchmarks" / "instant.py")


def main(folder: Path) -> int:
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(ROOT / "tests" / "benchmarks")])
    sys.path[:0] = [str(ROOT), str(ROOT / "tests" / "benchmarks")]
    import instant
    import ray
    from ray.cluster_utils import Cluster

    from search.store import connection, reading, workers
    from search.workers.launchers import LaunchPlan, Placement
    from search.workers.launchers.ray import Ray

    url = f"sqlite:///{folder}/store.db"
    instant.create(url, "s", TRIALS, epochs=4)

    class Instant(LaunchPlan):
        __slots__ = ()

        def arguments(self, device: str | None = None) -> list[str]:
            options = {"--folder": str(folder), "--lease": "6", "--seconds": str(EPOCH_S)}
            return [INSTANT, "work", self.storage, "s", *(word for pair in options.items() for word in pair)]

    cluster = Cluster(initialize_head=True, head_node_args={"num_cpus": 1, "object_store_memory": 80 * 2**20})
    second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)
    cluster.wait_for_nodes()
    place = Ray(Instant("s", url, folder, "cpu", Placement("ray", address=cluster.address)))
    engine = connection.connect(url)
    place.start(2)
    removed = False
    begin = time.monotonic()
    while place.alive() and time.monotonic() - begin < 240:
        done = reading.progress(engine, "s").finished
        if done >= TRIALS:
            break  # the removed node's actor may still be on its way to the new one
        if not removed and done >= 4 and len(workers.present(engine, "s")) == 2:
            cluster.remove_node(second, allow_graceful=False)
            removed = True
            print(f"removed a node after {done} trials", flush=True)
            second = cluster.add_node(num_cpus=1, object_store_memory=80 * 2**20)  # where its actor starts again
        time.sleep(0.3)
    progress = reading.progress(engine, "s")
    study = reading.load_study(engine, "s")
    attempts = [trial.attempts for trial in study.trials]
    twice = sum(len({record.epoch for record in trial.epochs}) != len(trial.epochs) for trial in study.trials)
    print(f"trials {progress.finished} of {TRIALS}, at most {max(attempts)} attempts, {twice} doubled epochs")
    place.kill()
    ray.shutdown()
    cluster.shutdown()
    engine.dispose()
    is_right = removed and progress.finished == TRIALS == len(attempts) and not progress.unfinished and not twice
    return 0 if is_right else 1


if __name__ == "__main__":
    sys.exit(main(Path(sys.argv[1])))
