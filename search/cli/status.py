"""Show how far a study is, or all of them."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import JsonOption, StorageOption

SECTION, ORDER = "Review", 1


def command(
    study: Annotated[
        str | None, typer.Argument(metavar="[STUDY]", help="Name or study file; all studies by default.")
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console, open_store, print_json, study_name
    from search.cli.studies import show_studies
    from search.report import tables, theme
    from search.store import reading

    engine = open_store(storage)
    screen = console()
    if study is None:
        show_studies(screen, reading.list_studies(engine), as_json=as_json)
        return
    name = study_name(study)
    progress = reading.progress(engine, name)
    if as_json:
        print_json(
            {
                "study": name,
                "target": progress.target,
                "states": {state.value: count for state, count in progress.states.items()},
                "best": progress.best,
                "baseline": progress.baseline,
            }
        )
        return
    record = reading.load_study(engine, name, epochs=False)
    screen.print(f"[bold]{name}[/bold]  {record.backbone} ({record.weights}) on {record.dataset.name}")
    screen.print(tables.states(record))
    for trial in record.trials:
        if not trial.state.is_finished:
            screen.print(
                f"  trial {trial.number}: {trial.state.value}, attempt {trial.attempts} on {trial.worker}", markup=False
            )
    metric = theme.metric_name(record.metric)
    screen.print(f"best {metric} {theme.number(progress.best)}, plain recipe {theme.number(progress.baseline)}")
    for kind, number, message in tables.failures(record):
        screen.print(f"  trial {number} failed ({kind}): {message}", markup=False, style="red")
