"""Propose first candidates for a new data set from all studies in the store."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption, StorageOption

if TYPE_CHECKING:
    from collections.abc import Sequence

    from search.new_study.suggest import NewData, Suggestion

SECTION, ORDER = "Search", 1


def command(
    folder: Annotated[
        Path, typer.Argument(metavar="DATA_DIR", help="As for `ftsearch init`: a folder per class, a table ...")
    ],
    count: Annotated[int, typer.Option(help="Maximum number of candidates to propose.")] = 5,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="The task, where the data would fit several.")
    ] = None,
    backbone: Annotated[
        str | None, typer.Option(help="Only from studies of this backbone.", show_default="any")
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "-o", "--output", metavar="DIR", help="Folder for their JSON files and a study file that starts with them."
        ),
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console, open_store, print_json, show_next
    from search.cli._working import working
    from search.errors import UserError
    from search.records.plain_text import numbered

    if count < 1:
        raise UserError(f"--count must be at least 1, got {count}")
    with open_store(storage) as engine:
        with working(console(stderr=True), "loading libraries") as say:
            from search.new_study import suggest
            from spaces import backbones

            say(f"looking at {folder}")
            data = suggest.describe(folder, task)
            named = backbones.resolve(backbone).name if backbone else None
            suggestions = suggest.suggest(engine, data.traits, count, backbone=named)
        if as_json:
            print_json([_plain(one) for one in suggestions])
        else:
            _print(data, suggestions)
        if output is not None:
            path = suggest.write(output, suggestions, data, engine)
            screen = console(stderr=as_json)
            screen.print(f"Wrote {path} and {numbered(len(suggestions), 'candidates')}.", soft_wrap=True)
            show_next(screen, "plan", path)


def _print(data: NewData, suggestions: Sequence[Suggestion]) -> None:
    from search.cli._console import console
    from search.records.plain_text import numbered
    from search.report import wording

    screen, dataset, traits = console(), data.record, data.traits
    what = (
        f"{data.recognised.task}, {traits.images} training {dataset.noun}, {numbered(traits.classes, dataset.outputs)}"
    )
    screen.print(f"{dataset.name}: {data.recognised.why}: {what}")
    for one in suggestions:
        gain = "" if one.gain is None else f", {wording.signed(one.gain)} against the plain recipe"
        how = "confirmed" if one.confirmed else "seen once"
        screen.print(
            f"{one.study} trial {one.trial} (data {one.apart:.2f} apart; {wording.metric_name(one.metric)} "
            f"{wording.number(one.value)} there{gain}, {how}): {one.words}"
        )


def _plain(one: Suggestion) -> dict[str, object]:
    from dataclasses import asdict

    return {**asdict(one), "candidate": one.candidate.to_json()}
