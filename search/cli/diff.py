"""Compare two candidates in words: decision by decision, unit by unit."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption, StorageOption, styled

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.console import Console

    from search.cli._candidates import Pointed
    from spaces.networks.differences import CandidateDescription

SECTION, ORDER = "Review", 5


def command(
    first: Annotated[
        str,
        typer.Argument(
            metavar="A",
            help="STUDY:TRIAL, TRIAL (a number, best, baseline, refit), a candidate's JSON file, a model's folder.",
        ),
    ],
    second: Annotated[str, typer.Argument(metavar="B", help="The same; a bare TRIAL belongs to A's study.")],
    study: Annotated[str, typer.Option(help="Study of a bare TRIAL; by default the only one in the store.")] = "",
    everything: Annotated[bool, typer.Option("--all", help="Also show identical units.")] = False,
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli import _outcome
    from search.cli._console import console, print_json
    from search.cli._working import working

    with working(console(stderr=True), "loading libraries") as say:
        from spaces.networks.differences import decisions_apart, described, units_apart

        pointed = _pointed((first, second), study, storage)
        say("building both networks")
        one, other = (described(candidate.candidate, candidate.base_size) for candidate in pointed)
    if as_json:
        print_json(
            {
                "decisions": [
                    dict(zip(("decision", "a", "b"), row, strict=True)) for row in decisions_apart(one, other)
                ],
                "units": [
                    {"units": list(row.units), "a": row.first, "b": row.second}
                    for row in units_apart(one, other, gather=False)
                    if everything or not row.is_same
                ],
            }
        )
        return
    _print(console(), pointed, one, other, everything=everything)
    for record in {
        candidate.study.name: candidate.study for candidate in pointed if candidate.study is not None
    }.values():
        _outcome.show_warnings(console(), record)


def _pointed(texts: tuple[str, str], study: str, storage: str | None) -> list[Pointed]:
    from contextlib import nullcontext

    from search.cli._candidates import read_file, read_trial, study_of
    from search.cli._console import open_store, study_name
    from search.spec.candidates import is_file

    with nullcontext() if all(is_file(text) for text in texts) else open_store(storage) as engine:
        default = study_name(study) if study else study_of(texts[0]) or study_of(texts[1])
        if engine is not None and not default:
            from search.store import reading

            names = [summary.name for summary in reading.list_studies(engine)]
            default = names[0] if len(names) == 1 else ""
        return [
            read_file(text) if is_file(text) or engine is None else read_trial(engine, text, default) for text in texts
        ]


def _print(
    screen: Console, pointed: list[Pointed], one: CandidateDescription, other: CandidateDescription, *, everything: bool
) -> None:
    from search.cli._tables import Sheet
    from search.report import tables, wording
    from spaces.networks.differences import decisions_apart, units_apart

    for letter, candidate, shape in zip("AB", pointed, (one, other), strict=True):
        value = (
            f", {candidate.study.metric} {wording.number(candidate.trial.value)}"
            if candidate.study and candidate.trial
            else ""
        )
        size = "x".join(map(str, shape.input_size))
        screen.print(
            styled((letter, "bold"), f"  {candidate.label}: {shape.label} ({shape.weights}) at {size}{value}"),
            soft_wrap=True,
        )
    decisions = decisions_apart(one, other)
    if not decisions and one.label == other.label:
        screen.print("\nBoth are the same candidate.")
    else:
        screen.print(styled("\n", ("Decisions that differ", "bold")))
        screen.print(Sheet(("decision", "A", "B"), decisions, left=("decision", "A", "B")))
    rows: list[tuple[str, str, str]] = []
    styles = []
    for unit in units_apart(one, other, gather=not everything):
        name = unit.units[0] if len(unit.units) == 1 else f"{unit.units[0]} to {unit.units[-1]}"
        if not unit.is_same:
            rows.append((name, unit.first, unit.second))
        elif everything:
            rows.append((name, unit.first, "the same"))
        else:
            rows.append((f"{len(unit.units)} alike: {name}", "", ""))
        styles.append("bold" if not unit.is_same else "" if everything else "dim")
    for what, values in (
        ("parameters", [one.parameters, other.parameters]),
        ("FLOPs", [2 * one.macs, 2 * other.macs]),
    ):
        rows.append((f"{what} without head", wording.count(values[0]), wording.count(values[1])))
        styles.append("")
    screen.print(styled("\n", ("Units", "bold")))
    screen.print(Sheet(("unit", "A", "B"), rows, left=("unit", "A", "B"), styles=styles))
    trials = [candidate.trial for candidate in pointed if candidate.trial is not None]
    if len(trials) == 2:
        _results(screen, tables.results(trials))


def _results(screen: Console, rows: Sequence[tuple[str, tuple[str, ...]]]) -> None:
    from search.cli._tables import Sheet

    cells = [(what, *values) for what, values in rows]
    screen.print(styled("\n", ("Results", "bold")))
    screen.print(Sheet(("result", "A", "B"), cells, left=("result", "A", "B")))
