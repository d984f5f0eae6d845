"""The output at the end of a run: ranking, gain, report, the next command."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

from search.cli._console import show_next, styled
from search.cli._tables import Sheet
from search.records.command_line import command
from search.report import ranking_table, tables

if TYPE_CHECKING:
    from rich.console import Console

    from search.api import StudyResult
    from search.records.study import StudyRecord

_ROWS = 10
_STYLES = {"best": "green", "plain": "yellow", "": ""}
"""Of the rows of a ranking, by how they are marked."""


def show(screen: Console, result: StudyResult, file: Path, storage: str | None) -> None:
    """Print the end of a run of the study in ``file``; suggested commands include the given ``storage``."""
    from search.store.connection import shown

    where = ("--storage", shown(storage)) if storage and storage != os.environ.get("FTSEARCH_STORAGE") else ()
    study = result.study
    screen.print()
    if study.trials:
        screen.print(ranking_sheet(study, _ROWS))
    show_front(screen, study)
    show_warnings(screen, study)
    screen.print(tables.states(study) + ".")
    show_choice(screen, study)
    if result.model is not None:
        show_model(screen, study, result.model)
    for note in result.notes:
        screen.print(f"{note[0].upper()}{note[1:]}.", style="yellow")
    if result.report is not None:
        screen.print(styled(("Report:", "bold"), f" {result.report}"), soft_wrap=True)
    show_headline(screen, study)
    if result.stopped:
        screen.print(f"Stopped early: {result.stopped}. Finished trials are kept; continue with:")
        screen.print(f"  {command('run', file, *where)}", style="bold", soft_wrap=True)
    else:
        use = ("predict", result.model, "IMAGE_OR_FOLDER") if result.model else ("best", study.name, *where)
        show_next(screen, *use)


def show_choice(screen: Console, study: StudyRecord) -> None:
    """Print how the winner was chosen among the best few; nothing if the search alone chose."""
    from search.report import final

    if chosen := final.choice_sentence(study):
        screen.print(styled(("Choice:", "bold"), f" {chosen}"))


def show_model(screen: Console, study: StudyRecord, folder: Path | None = None) -> None:
    """Print which model is ready for use; ``folder`` is where it was exported."""
    from search.report import final

    if model := final.model_sentence(study):
        screen.print(styled(("Model:", "bold"), f" {folder}: {model}" if folder else f" {model}"))


def show_headline(screen: Console, study: StudyRecord) -> None:
    """Print the result as a report opens: gain, proof, size, winner."""
    from search.report import headline

    screen.print(styled(("Result:", "bold"), f" {headline.sentence(study)}"))
    if study.best is not None:
        name = headline.winner_name(study)
        screen.print(styled(("Winner:", "bold"), f" {name}: {study.best.words}"))


def show_warnings(screen: Console, study: StudyRecord) -> None:
    """Print the caveats to know before trusting the numbers."""
    for note in tables.warnings(study):
        screen.print(note, style="yellow")


def show_front(screen: Console, study: StudyRecord) -> None:
    """Print the Pareto front of a study of several objectives; nothing for one of a single objective."""
    from search.report import front

    lines = front.rows(study)
    if not lines:
        return
    more = f" The first {_ROWS}:" if len(lines) > _ROWS else ""
    screen.print(styled("\n", (f"{front.HEADING}:", "bold"), f" {front.sentence(study)}{more}"))
    screen.print(Sheet(front.columns(study)[:-1], lines[:_ROWS], words=front.columns(study)[-1]))


def ranking_sheet(study: StudyRecord, rows: int | None = None) -> Sheet:
    """Return the ranking for a terminal."""
    headings, lines = ranking_table.headings(study), ranking_table.rows(study, rows)
    return Sheet(
        headings[:-1],
        lines,
        left=("state",),
        words=headings[-1],
        styles=[_STYLES[ranking_table.kind(line)] for line in lines],
    )
