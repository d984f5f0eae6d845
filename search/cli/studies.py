"""List the studies of a store."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from search.cli._console import JsonOption, StorageOption

if TYPE_CHECKING:
    from rich.console import Console

    from search.store.reading import Summary

SECTION, ORDER = "Review", 5


def command(storage: StorageOption = None, as_json: JsonOption = False) -> None:
    from search.cli._console import console, open_store
    from search.store import reading

    with open_store(storage) as engine:
        show_studies(console(), reading.list_studies(engine), as_json=as_json)


def show_studies(screen: Console, studies: Sequence[Summary], *, as_json: bool) -> None:
    """Print a line for every study."""
    from search.cli._console import print_json
    from search.cli._tables import Sheet
    from search.records.study import of_target
    from search.report import wording

    if as_json:
        print_json([_plain(summary) for summary in studies])
        return
    if not studies:
        screen.print("No studies yet; start one with: ftsearch run STUDY.yaml")
        return
    rows = [
        (
            summary.name,
            of_target(summary.progress.finished, summary.progress.target),
            wording.number(summary.best) + (" (leaks)" if summary.leak else ""),
            wording.number(summary.progress.baseline),
            wording.metric_name(summary.metric),
            f"{summary.task}, {summary.backbone}, {summary.created_at:%Y-%m-%d %H:%M}",
        )
        for summary in studies
    ]
    headings = ("study", "trials", "best", "plain recipe", "metric")
    screen.print(Sheet(headings, rows, left=("study", "metric"), words="task, backbone, start (UTC)"))
    for summary in studies:
        if summary.leak:
            screen.print(f"{summary.name}: {summary.leak}", style="yellow")


def _plain(summary: Summary) -> dict[str, object]:
    progress = summary.progress
    return {
        "name": summary.name,
        "task": summary.task,
        "backbone": summary.backbone,
        "metric": summary.metric,
        "created_at": summary.created_at.isoformat(),
        "target": progress.target,
        "states": {state.value: count for state, count in progress.states.items()},
        "best": summary.best,
        "baseline": progress.baseline,
        "leak": summary.leak,
    }
