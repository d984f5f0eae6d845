"""Show the progress of one study, or of all."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption, StorageOption
from search.cli._tables import Sheet
from search.records.study import TrialState

if TYPE_CHECKING:
    from rich.console import Console, Group

    from search.store.connection import Engine
    from search.store.workers import WorkerRecord

SECTION, ORDER = "Review", 1
_SILENT_S = 60.0


def command(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name or study file; all studies by default.")
    ] = None,
    storage: StorageOption = None,
    watch: Annotated[bool, typer.Option("--watch", help="Keep refreshing until the study is done.")] = False,
    every: Annotated[str, typer.Option(metavar="TIME", help="Refresh interval of --watch.")] = "2s",
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console, open_store, print_json, seconds_of, study_name
    from search.cli.studies import show_studies
    from search.errors import UserError
    from search.store import reading

    if watch and (as_json or study is None):
        raise UserError("--watch shows one study on a terminal: name it, and leave --json out")
    screen = console()
    with open_store(storage) as engine:
        if study is None:
            show_studies(screen, reading.list_studies(engine), as_json=as_json)
        elif as_json:
            print_json(_data(engine, study_name(study)))
        elif watch:
            _watch(screen, engine, study_name(study), seconds_of("--every", every) or 2.0)
        else:
            screen.print(_page(engine, study_name(study)))


def _watch(screen: Console, engine: Engine, name: str, seconds: float) -> None:
    """Show the page repeatedly: in place on a terminal, one below the other in a pipe."""
    import time

    from rich.live import Live

    from search.store import reading

    with Live(_page(engine, name), console=screen, auto_refresh=False, transient=False) as live:
        while True:
            progress = reading.progress(engine, name)
            live.update(_page(engine, name), refresh=True)
            if progress.finished >= progress.target or progress.stopping:
                return
            time.sleep(seconds)


def _data(engine: Engine, name: str) -> dict[str, object]:
    from search.store import reading, workers

    progress, pace = reading.progress(engine, name), workers.pace(engine, name)
    winner = reading.winner(engine, name)
    return {
        "study": name,
        "target": progress.target,
        "states": {state.value: count for state, count in progress.states.items()},
        "best": winner.value if winner is not None else None,
        "baseline": progress.baseline,
        "stopping": progress.stopping,
        "trials_per_hour": pace.trials_per_hour,
        "failures": dict(pace.failures),
        "workers": [
            {
                "name": worker.name,
                "host": worker.host,
                "device": worker.device,
                "trials": list(worker.trials),
                "epoch": worker.epoch,
                "seen_seconds_ago": worker.silent_s,
            }
            for worker in workers.present(engine, name)
        ],
    }


def _page(engine: Engine, name: str) -> Group:
    from rich.console import Group
    from rich.text import Text

    from search.records.plain_text import numbered
    from search.report import confirmed, headline, tables, wording
    from search.store import reading, workers

    record = reading.load_study(engine, name, epochs=False)
    progress, pace = reading.progress(engine, name), workers.pace(engine, name)
    metric, winner = wording.metric_name(record.metric), headline.winner_name(record)
    by = f" by {winner}" if winner else ""
    best = record.best.value if record.best is not None else None
    lines = [
        Text.assemble((name, "bold"), f"  {record.backbone} ({record.weights}) on {record.dataset.name}"),
        Text(tables.states(record) + " The study has been stopped." * progress.stopping),
        Text(f"best {metric} {wording.number(best)}{by}, plain recipe {wording.number(progress.baseline)}"),
    ]
    if pace.trials_per_hour is not None:
        lines.append(Text(f"{pace.trials_per_hour:.3g} trials per hour"))
    lines += [Text(line) for line in confirmed.sentences(record)]
    lines += [Text(line, style="yellow") for line in tables.warnings(record)]
    present = workers.present(engine, name)
    waiting = [trial for trial in record.trials if trial.state is TrialState.WAITING]
    lines += [
        Text(f"trial {one.number} waits for a worker, after {numbered(one.attempts, 'attempts')}") for one in waiting
    ]
    listed = {number for worker in present for number in worker.trials}
    alone = [one for one in record.trials if one.state is TrialState.RUNNING and one.number not in listed]
    lines += [Text(f"trial {one.number}: running, attempt {one.attempts} on {one.worker}") for one in alone]
    counts = ", ".join(f"{count} {kind}" for kind, count in sorted(pace.failures.items()))
    if counts:
        lines.append(Text(f"failures by reason: {counts}", style="red"))
    lines += [
        Text(f"  trial {number} failed ({kind}): {message}", style="red")
        for kind, number, message in tables.failures(record)
    ]
    return Group(*lines, *([_workers(present)] if present else []))


def _workers(present: Sequence[WorkerRecord]) -> Sheet:
    headings = ("worker", "host", "device", "trial", "epoch", "last heartbeat")
    rows = [
        (
            worker.name,
            worker.host,
            worker.device,
            ", ".join(map(str, worker.trials)) or "-",
            "-" if worker.epoch is None else str(worker.epoch),
            f"{worker.silent_s:.0f} s ago",
        )
        for worker in present
    ]
    styles = ["yellow" if worker.silent_s > _SILENT_S else "" for worker in present]
    return Sheet(headings, rows, left=headings, styles=styles)
