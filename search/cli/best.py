"""Show the winner of a study: in words, or as data to build it from."""

from __future__ import annotations

import typer

from search.cli._console import JsonOption, StorageOption, StudyArgument

SECTION, ORDER = "Review", 2


def command(study: StudyArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    from dataclasses import asdict

    from search.cli import _outcome
    from search.cli._console import console, open_store, print_json, study_name
    from search.lifecycle.repair import weights_words
    from search.records.choice import final_model
    from search.report import tables, wording
    from search.report.trial_data import plain
    from search.store import reading

    with open_store(storage) as engine:
        record = reading.load_study(engine, study_name(study), epochs=False)
        best = record.best
        name = best.checkpoint if best is not None else None
        weights, is_there = weights_words(engine, record.name, name) if name else ("", False)
    if best is None:
        broken = any(trial.broken for trial in record.trials)
        kind = "no complete trial that satisfies the constraints" if broken else "no complete trial"
        typer.echo(f"Error: the study {record.name!r} has {kind} yet ({tables.states(record)})", err=True)
        raise typer.Exit(1)
    if as_json:
        front = {"front": [plain(trial) for trial in record.front]} if len(record.objectives) > 1 else {}
        model = final_model(record)
        chosen = [
            {"trial": one.trial.number, "trainings": one.trainings, "mean": one.mean} for one in record.contenders
        ]
        print_json(
            plain(best)
            | {"checkpoint": name if is_there else None}
            | {"tied": [trial.number for trial in record.tied]}
            | {"overlaps": [asdict(overlap) for overlap in record.dataset.overlaps]}
            | {"final": asdict(model) if model else None, "contenders": chosen}
            | front
        )
        return
    screen = console()
    _outcome.show_headline(screen, record)
    _outcome.show_choice(screen, record)
    _outcome.show_warnings(screen, record)
    if best.size is not None:
        screen.print(
            f"{wording.count(best.size.parameters)} parameters ({wording.count(best.size.trained)} trained), "
            f"{wording.count(best.size.flops)} FLOPs per image, best epoch {best.best_epoch}"
        )
    _outcome.show_model(screen, record)
    if weights:
        repair = "" if is_there else f"; see `ftsearch artifacts {record.name}`"
        screen.print(f"Weights: {weights}{repair}", markup=False, soft_wrap=True)
    _outcome.show_front(screen, record)
