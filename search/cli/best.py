"""Show the winner of a study: in words, or as data to build it from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import typer

from search.cli._console import JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from search.records.study import StudyRecord, TrialRecord
    from search.store.connection import Engine

SECTION, ORDER = "Review", 2


def command(study: StudyArgument, storage: StorageOption = None, as_json: JsonOption = False) -> None:
    from search.cli._console import open_store, print_json, study_name
    from search.report import tables
    from search.store import reading

    with open_store(storage) as engine:
        record = reading.load_study(engine, study_name(study), epochs=False)
        if record.best is None:
            broken = any(trial.broken for trial in record.trials)
            kind = "no complete trial that satisfies the constraints" if broken else "no complete trial"
            typer.echo(f"Error: the study {record.name!r} has {kind} yet ({tables.states(record)})", err=True)
            raise typer.Exit(1)
        if as_json:
            print_json(_data(engine, record, record.best))
        else:
            _show(engine, record, record.best)


def _weights(engine: Engine, study: StudyRecord, best: TrialRecord) -> tuple[str, bool]:
    """Return where the winner's weights are, in words, and whether they are there; empty if it keeps none."""
    from search.cli._console import console
    from search.cli._working import working

    if best.checkpoint is None:
        return "", False
    with working(console(stderr=True), "looking for the weights"):
        from search.lifecycle.repair import weights_words  # loads torch, which takes seconds

        return weights_words(engine, study.name, best.checkpoint)


def _data(engine: Engine, study: StudyRecord, best: TrialRecord) -> dict[str, Any]:
    from dataclasses import asdict

    from search.records.choice import final_model
    from search.report.trial_data import plain

    front = {"front": [plain(trial) for trial in study.front]} if len(study.objectives) > 1 else {}
    model, (_, is_there) = final_model(study), _weights(engine, study, best)
    chosen = [{"trial": one.trial.number, "trainings": one.trainings, "mean": one.mean} for one in study.contenders]
    return (
        plain(best)
        | {"checkpoint": best.checkpoint if is_there else None}
        | {"tied": [trial.number for trial in study.tied]}
        | {"overlaps": [asdict(overlap) for overlap in study.dataset.overlaps]}
        | {"final": asdict(model) if model else None, "contenders": chosen}
        | front
    )


def _show(engine: Engine, study: StudyRecord, best: TrialRecord) -> None:
    from search.cli import _outcome
    from search.cli._console import console
    from search.report import wording

    screen = console()
    _outcome.show_headline(screen, study)
    _outcome.show_choice(screen, study)
    _outcome.show_warnings(screen, study)
    if best.size is not None:
        screen.print(
            f"{wording.count(best.size.parameters)} parameters ({wording.count(best.size.trained)} trained), "
            f"{wording.count(best.size.flops)} FLOPs per image, best epoch {best.best_epoch}"
        )
    _outcome.show_model(screen, study)
    weights, is_there = _weights(engine, study, best)
    if weights:
        repair = "" if is_there else f"; see `ftsearch artifacts {study.name}`"
        screen.print(f"Weights: {weights}{repair}", markup=False, soft_wrap=True)
    _outcome.show_front(screen, study)
