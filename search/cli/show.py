"""Show a pretrained network as a chain of units, and the changes it allows."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption, styled

if TYPE_CHECKING:
    from rich.console import Console

    from spaces.backbones._base import Pretrained
    from spaces.chains.probe import Convolution, UnitFacts
    from spaces.networks.space import Space

SECTION, ORDER = "Look", 2
_BAR = 16
_WIDE = 120
"""Width of a terminal, in columns, from which bars are drawn beside the numbers."""
_SIZE = re.compile(r"(\d+)(?:x(\d+))?")


def command(
    backbone: Annotated[str, typer.Argument(metavar="BACKBONE", help="mobilenet_v2, torchvision:resnet50, timm:...")],
    size: Annotated[
        str | None,
        typer.Option("--input", metavar="SIDE|HxW", help="Input size in pixels; the usual one by default."),
    ] = None,
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console
    from search.cli._working import working

    screen = console(stderr=as_json)
    with working(screen, "loading libraries") as say:
        from spaces import backbones
        from spaces.backbones._base import NO_WEIGHTS, Pretrained
        from spaces.chains import probe
        from spaces.decisions import registry
        from spaces.networks import space

        source = backbones.resolve(backbone)
        input_size = _size(size) or source.usual_size
        say(f"taking {source.name} apart")
        chain = source.describe(input_size)
        facts = probe.describe(chain)
        pretrained = Pretrained(source.name, source.label, NO_WEIGHTS, "", source.preprocessing, chain)
        opened = space.Space(pretrained, {name: decision.options() for name, decision in registry().items()})
    if as_json:
        _print_json(opened, facts)
        return
    _print_units(screen, pretrained, facts, opened)
    _print_decisions(screen, opened)


def _size(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    match = _SIZE.fullmatch(given.strip().lower())
    if match is None or not int(match[1]) or (match[2] and not int(match[2])):
        raise typer.BadParameter(f"expected a side in pixels or HEIGHTxWIDTH, such as 224 or 192x256, got {given!r}")
    return int(match[1]), int(match[2] or match[1])


def _touched(opened: Space) -> dict[str, list[str]]:
    """Return the names of the decisions that may change each unit, by the unit's name."""
    from spaces.decisions import registry

    decisions: dict[str, list[str]] = {unit.name: [] for unit in opened.chain}
    for name, choices in opened.choices.items():
        for unit in dict.fromkeys(registry()[name].touches(choices, opened.chain)):
            decisions[unit].append(name)
    return decisions


def _print_json(opened: Space, facts: tuple[UnitFacts, ...]) -> None:
    from dataclasses import asdict

    from search.cli._console import print_json

    touched = _touched(opened)
    print_json([asdict(unit) | {"decisions": touched[unit.name]} for unit in facts])


def _print_units(screen: Console, pretrained: Pretrained, facts: tuple[UnitFacts, ...], opened: Space) -> None:
    from search.cli._tables import Sheet
    from search.cli._units import show_dominant
    from search.report import wording
    from spaces.chains import probe

    macs, parameters = sum(unit.macs for unit in facts), sum(unit.parameters for unit in facts)
    chain = pretrained.chain
    is_image = len(chain.input_shape) == 3
    side = "x".join(str(length) for length in chain.input_size) if is_image else f"{chain.input_shape[0]} tokens"
    screen.print(
        styled(
            (pretrained.label, "bold"),
            f" ({pretrained.backbone}) at {side}: {len(facts)} units, {wording.count(parameters)} parameters, ",
            f"{wording.count(2 * macs)} FLOPs (2 per multiply-add), without its own classifier",
        )
    )
    touched = _touched(opened)
    most_parameters = max(unit.parameters for unit in facts) or 1
    most_macs = max(unit.macs for unit in facts) or 1
    rows = []
    for index, unit in enumerate(facts, 1):
        shape = "x".join(map(str, probe.features_shape(chain, unit.out_shape)))
        own = _geometry(unit.convolutions), " ".join(touched[unit.name])
        bars = [_bar(unit.parameters / most_parameters), _bar(unit.macs / most_macs)]
        cells = [str(index), unit.name, shape, str(unit.reduction), wording.count(unit.parameters)]
        cells += [wording.count(2 * unit.macs), *(bars if screen.width >= _WIDE else ()), "; ".join(filter(None, own))]
        rows.append(cells)
    headings = ["#", "unit", "output", "1/", "parameters", "FLOPs"]
    bars = ["of parameters", "of FLOPs"] if screen.width >= _WIDE else []
    left = ("unit", "output", *bars)
    screen.print(Sheet((*headings, *bars), rows, left=left, words="convolutions; decisions"))
    show_dominant(screen, facts)
    if any(not unit.can_end for unit in facts):
        names = ", ".join(unit.name for unit in facts if not unit.can_end)
        screen.print(f"no head fits after: {names}")


def _print_decisions(screen: Console, opened: Space) -> None:
    touching = {name for names in _touched(opened).values() for name in names}
    whole = [name for name in opened.choices if name not in touching]
    screen.print(f"\nof the whole network: {', '.join(whole)}")
    for name, reason in opened.dropped.items():
        screen.print(f"{name} does not apply: {reason}", style="yellow")


def _geometry(convolutions: tuple[Convolution, ...]) -> str:
    """Return the convolutions in short form, duplicates counted: ``3x3/2 g96`` is a 3x3 kernel, stride 2, 96 groups."""
    texts: dict[str, int] = {}
    for conv in convolutions:
        text = f"{conv.kernel[0]}x{conv.kernel[1]}"
        text += f"/{conv.stride[0]}" if max(conv.stride) > 1 else ""
        text += f" g{conv.groups}" if conv.groups > 1 else ""
        text += f" d{conv.dilation[0]}" if max(conv.dilation) > 1 else ""
        texts[text] = texts.get(text, 0) + 1
    return ", ".join(f"{count} {text}" if count > 1 else text for text, count in texts.items())


def _bar(share: float) -> str:
    return ("█" * round(share * _BAR / 2)).ljust(_BAR // 2, "·")
