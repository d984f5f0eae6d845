"""Progress of a running study: two bars on a terminal, plain lines elsewhere."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from search.cli._console import log_to
from search.records.study import OPEN, EpochRecord, TrialRecord, TrialState, of_target
from search.report import wording

if TYPE_CHECKING:
    from rich.console import Console
    from rich.progress import Progress as Bar
    from rich.progress import TaskID

    from search.store.reading import Progress
    from search.trials.observer import Observer

LOADING = "loading libraries, data and weights"
"""Said at once: torch alone takes seconds to load, a minute on a machine that is busy."""
logger = logging.getLogger(__name__)


@contextmanager
def show(screen: Console, noun: str = "trial") -> Iterator[Observer]:
    """Return an observer that draws bars on a terminal and prints lines elsewhere; ``noun`` names what it observes."""
    if not screen.is_terminal:
        yield lines(screen, noun)
        return
    from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
    from rich.progress import Progress as Bar
    from rich.table import Column

    log_to(screen)
    columns = (
        TextColumn("{task.description}", style="bold", markup=False),
        BarColumn(bar_width=min(max(screen.width - 90, 10), 28)),
        MofNCompleteColumn(),
        TimeRemainingColumn(compact=True),
        TextColumn(
            "{task.fields[note]}", markup=False, table_column=Column(ratio=1, no_wrap=True, overflow="ellipsis")
        ),
    )
    with Bar(*columns, console=screen, speed_estimate_period=600, expand=True) as progress:
        yield Bars(progress, noun)


def lines(screen: Console, noun: str = "trial") -> Lines:
    """Return an observer that prints lines, and log the first line of a command that loads torch next."""
    log_to()
    logger.info("%s", LOADING)
    return Lines(screen, noun)


class Lines:
    """One line per event, for logs and pipes."""

    def __init__(self, screen: Console, noun: str = "trial") -> None:
        self._screen = screen
        self._noun = noun
        self._metric = ""

    def study_opened(self, metric: str, progress: Progress, winner: Callable[[], TrialRecord | None]) -> None:
        self._metric = metric
        self._screen.print(f"{of_target(progress.finished, progress.target)} {self._noun}s done")

    def stage_began(self, noun: str, progress: Progress) -> None:
        self._noun = noun

    def preparing(self, what: str, done: int, total: int) -> None:
        if done == total:
            self._screen.print(f"{what}: {total} done")

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        self._screen.print(f"{self._noun} {number}: {words}", soft_wrap=True)

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        value = epoch.metrics.get(self._metric)
        metrics = "" if value is None else f"{wording.metric_name(self._metric)} {wording.number(value)}, "
        self._screen.print(
            f"{self._noun} {number}: epoch {epoch.epoch}, training loss {wording.number(epoch.train_loss)}, "
            f"{metrics}{epoch.seconds:.1f} s",
            soft_wrap=True,
        )

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        best = f", best {wording.number(value)}" if value is not None else ""
        self._screen.print(f"{self._noun} {number}: {state}{best} ({ended})", soft_wrap=True)


class Bars:
    """A bar for the study and one for the running trial."""

    def __init__(self, bars: Bar, noun: str = "trial") -> None:
        self._bars = bars
        self._noun = noun
        self._metric = ""
        self._winner: Callable[[], TrialRecord | None] = lambda: None
        self._counts: Counter[TrialState] = Counter()
        self._trials: dict[int, TaskID] = {}
        self._preparing: dict[str, TaskID] = {}
        self._study = bars.add_task("study" if noun == "trial" else f"{noun}s", total=None, note=LOADING)

    def study_opened(self, metric: str, progress: Progress, winner: Callable[[], TrialRecord | None]) -> None:
        self._metric, self._winner = metric, winner
        self._counts = Counter({state: count for state, count in progress.states.items() if state.is_finished})
        total = None if progress.target >= OPEN else progress.target
        self._bars.update(self._study, total=total, completed=progress.finished, note=self._note())

    def stage_began(self, noun: str, progress: Progress) -> None:
        self._noun = noun
        self._counts = Counter({state: count for state, count in progress.states.items() if state.is_finished})
        done, total = progress.finished, progress.target
        self._bars.update(self._study, description=f"{noun}s", total=total, completed=done, note=self._note())

    def preparing(self, what: str, done: int, total: int) -> None:
        if what not in self._preparing:
            self._preparing[what] = self._bars.add_task(what, total=total, note="once for all trials")
        self._bars.update(self._preparing[what], completed=done)
        if done == total:
            self._bars.remove_task(self._preparing.pop(what))

    def trial_started(self, number: int, words: str, epochs: int) -> None:
        self._trials[number] = self._bars.add_task(f"{self._noun} {number}", total=epochs or None, note=words)

    def epoch_done(self, number: int, epoch: EpochRecord) -> None:
        value = epoch.metrics.get(self._metric, float("nan"))
        metric = f"{wording.metric_name(self._metric)} {wording.number(value)}"
        note = f"loss {wording.number(epoch.train_loss, 3)}  {metric}"
        self._bars.update(self._trials[number], completed=epoch.epoch, note=note)

    def trial_ended(self, number: int, state: TrialState, value: float | None, ended: str) -> None:
        if number in self._trials:
            self._bars.remove_task(self._trials.pop(number))
        if state in (TrialState.FAILED, TrialState.WAITING):
            self._bars.console.print(f"{self._noun} {number}: {state} ({ended})", style="yellow")
        if not state.is_finished:
            return
        self._counts[state] += 1
        self._bars.update(self._study, completed=sum(self._counts.values()), note=self._note())

    def _note(self) -> str:
        leading = self._winner()
        best = [f"best {wording.metric_name(self._metric)} {wording.number(leading.value)}"] if leading else []
        states = (TrialState.COMPLETE, TrialState.PRUNED, TrialState.FAILED)
        return "  ".join(best + [f"{self._counts[state]} {state}" for state in states if self._counts[state]])
