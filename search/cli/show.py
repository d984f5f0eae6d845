"""Show a pretrained network as a chain of units, and what may be changed in it."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import JsonOption

SECTION, ORDER = "Look", 2
_BAR = 24


def command(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="mobilenet_v2, torchvision:resnet50 ...")],
    size: Annotated[
        int | None, typer.Option("--input", min=8, help="Input side in pixels; the usual one by default.")
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from dataclasses import asdict

    from rich.table import Table

    from search.cli._console import console, print_json
    from search.report import theme
    from spaces import backbones, probe, space
    from spaces.backbones._base import NO_WEIGHTS, Pretrained

    found = backbones.resolve(backbone)
    side = size or found.preprocessing.crop
    chain = found.describe((side, side))
    facts = probe.describe(chain)
    if as_json:
        print_json([asdict(unit) for unit in facts])
        return
    screen = console()
    macs, parameters = sum(unit.macs for unit in facts), sum(unit.parameters for unit in facts)
    screen.print(
        f"[bold]{found.label}[/bold] ({found.name}) at {side}x{side}: {len(facts)} units, "
        f"{theme.count(parameters)} parameters, "
        f"{theme.count(2 * macs)} FLOPs (two a multiply-add), without its own classifier"
    )
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("#", "unit", "output", "1/", "parameters", "FLOPs", "skip", "kernels", "where parameters | FLOPs sit"):
        table.add_column(name, justify="right" if name in ("#", "1/", "parameters", "FLOPs") else "left", no_wrap=True)
    most_parameters = max(unit.parameters for unit in facts) or 1
    most_macs = max(unit.macs for unit in facts) or 1
    for place, unit in enumerate(facts, 1):
        kernels = sorted({f"{conv.kernel[0]}x{conv.kernel[1]}" for conv in unit.convolutions})
        bars = f"[blue]{_bar(unit.parameters / most_parameters)}[/blue] [yellow]{_bar(unit.macs / most_macs)}[/yellow]"
        table.add_row(
            str(place),
            unit.name,
            "x".join(str(length) for length in unit.out_shape),
            str(unit.reduction),
            theme.count(unit.parameters),
            theme.count(2 * unit.macs),
            "yes" if unit.can_skip else "",
            " ".join(kernels),
            bars,
        )
    screen.print(table)
    pretrained = Pretrained(found.name, found.label, NO_WEIGHTS, "", found.preprocessing, chain)
    opened = space.Space(pretrained, {name: decision.options() for name, decision in space.registry().items()})
    screen.print(f"\ndecisions that apply: {', '.join(opened.choices)}")
    for name, reason in opened.dropped.items():
        screen.print(f"{name} does not: {reason}", style="yellow", markup=False)


def _bar(share: float) -> str:
    return ("█" * round(share * _BAR / 2)).ljust(_BAR // 2, "·")
