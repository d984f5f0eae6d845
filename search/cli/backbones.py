"""List the pretrained networks that can be searched."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import JsonOption

if TYPE_CHECKING:
    from spaces.backbones._base import Backbone

SECTION, ORDER = "Look", 1
_KEYS = ("name", "parameters", "gflops", "imagenet_accuracy", "coco_box_map", "weights_here")


def command(
    grep: Annotated[str, typer.Option(metavar="NAME", help="Only networks whose names contain this.")] = "",
    as_json: JsonOption = False,
) -> None:
    from search.cli._console import console, print_json
    from search.cli._tables import Sheet
    from search.cli._working import working
    from search.errors import NotFoundError
    from search.report import wording

    with working(console(stderr=True), "loading libraries"):
        from spaces import backbones

        sources = backbones.sources()
        listed = {
            source: [
                name for name in sorted(source.names(), key=_natural) if grep.lower() in f"{source.name}:{name}".lower()
            ]
            for source in sources.values()
        }
        rows = [_row(source.open(name)) for source, names in listed.items() for name in names]
    if as_json:
        print_json([dict(zip(_KEYS, row, strict=True)) for row in rows])
        return
    missing = [f"{source.name}'s networks: {needed}" for source in sources.values() if (needed := source.requirement())]
    if not rows:
        more = f" (not installed: {'; '.join(missing)})" if missing else ""
        raise NotFoundError(f"no backbone's name contains {grep!r}; leave --grep out to see all{more}")
    detects = any(box_map for *_, box_map, _ in rows)
    headings = ["backbone", "parameters", "GFLOPs", "ImageNet top-1", *(["COCO box mAP"] if detects else [])]
    cells = [
        (
            name,
            wording.count(parameters) if parameters else "–",
            f"{gflops:.2f}" if gflops else "–",
            f"{accuracy:.1f} %" if accuracy else "–",
            *([f"{box_map:.1f} %" if box_map else "–"] if detects else []),
            ", ".join(here),
        )
        for name, parameters, gflops, accuracy, box_map, here in rows
    ]
    console().print(Sheet(headings, cells, left=["backbone"], words="weights here"))
    for source, names in listed.items():
        if names and source.about:
            console().print(f"{source.name}: {source.about}.")
    for line in missing:
        console().print(line, style="yellow")


def _row(backbone: Backbone) -> tuple[str, int | None, float | None, float | None, float | None, list[str]]:
    accuracy = backbone.weights[0].accuracy if backbone.weights else None
    box_map = backbone.weights[0].box_map if backbone.weights else None
    here = [weights.name for weights in backbone.weights if weights.is_here]
    return backbone.name, backbone.parameters, backbone.gflops, accuracy, box_map, here


def _natural(name: str) -> list[tuple[int, str]]:
    """Return a sort key by which ``resnet18`` comes before ``resnet101``."""
    return [(int(part), "") if part.isdigit() else (-1, part) for part in re.findall(r"\d+|\D+", name)]
