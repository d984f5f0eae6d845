"""Show where a study's checkpoints are; recreate the folder if it was removed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption, StorageOption, StudyArgument

if TYPE_CHECKING:
    from search.lifecycle.repair import Place

SECTION, ORDER = "Search", 6


def command(
    study: StudyArgument,
    repair: Annotated[
        bool,
        typer.Option(
            "--repair",
            help="Recreate a missing folder, forget lost files, remove those that belong to no trial.",
        ),
    ] = False,
    yes: Annotated[bool, typer.Option("--yes", "-y", help="Repair without asking.")] = False,
    artifacts: Annotated[
        str | None, typer.Option(metavar="FOLDER", help="Where the folder is on this machine, or is to be created.")
    ] = None,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console, open_store, print_json, show_next, study_name
    from search.cli._working import working

    name, screen = study_name(study), console(stderr=as_json)
    with open_store(storage) as engine:
        with working(console(stderr=True), "looking for the checkpoints"):
            from search.lifecycle import repair as repairing  # loads torch, which takes seconds

            place = repairing.look(engine, name, artifacts)
        if as_json:
            print_json(_plain(place))
        else:
            for line in _lines(place):
                screen.print(line, markup=False, soft_wrap=True)
        if not repair:
            if not place.is_whole and not as_json:
                show_next(screen, "artifacts", name, "--repair")
            return
        if place.is_whole:
            screen.print("Nothing to repair.")
            return
        if not yes:
            _ask(place)
        repairing.repair(engine, name, place)
        again = repairing.look(engine, name, artifacts)
    screen.print(f"Repaired: {again.artifact_store.address}", markup=False, soft_wrap=True)
    if any(owner.checkpoint in names for owner, names in place.lost):
        screen.print(f"Weights that are lost are trained again by `ftsearch refit {name} --candidate TRIAL`.")


def _ask(place: Place) -> None:
    from search.errors import UserError

    question = "Forget the lost files?" if place.is_there else f"Is {place.artifact_store.address} gone for good?"
    try:
        if not typer.confirm(question):
            raise UserError("nothing was changed")
    except typer.Abort:
        raise UserError("nothing was changed; --yes repairs without asking") from None


def _lines(place: Place) -> list[str]:
    """Return a readable description of the place."""
    where = "" if place.is_there else ": gone, or not mounted here (--artifacts says where it is)"
    lines = [f"Place: {place.artifact_store.address}{where}"]
    lines += [f"kept: {owner.words}{_value(owner.value)}: {owner.checkpoint}" for owner in place.kept]
    for owner, names in place.lost:
        what = "weights" if owner.checkpoint in names else "last checkpoint, so that it starts over"
        lines.append(f"lost: {owner.words}{_value(owner.value)}: {what} ({', '.join(names)})")
    if place.leftovers:
        lines.append(f"{len(place.leftovers)} files belong to no trial: killed workers left them")
    return lines


def _value(value: float | None) -> str:
    return "" if value is None else f" ({value:.4f})"


def _plain(place: Place) -> dict[str, object]:
    return {
        "address": place.artifact_store.address,
        "is_there": place.is_there,
        "kept": [{"what": owner.words, "name": owner.checkpoint} for owner in place.kept],
        "lost": [{"what": owner.words, "names": list(names)} for owner, names in place.lost],
        "leftovers": list(place.leftovers),
    }
