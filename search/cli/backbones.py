"""List the pretrained networks that can be searched."""

from __future__ import annotations

from typing import Annotated

import typer

from search.cli._console import JsonOption

SECTION, ORDER = "Look", 1


def command(
    grep: Annotated[str, typer.Option(metavar="NAME", help="Only names that contain this.")] = "",
    as_json: JsonOption = False,
) -> None:
    from rich.table import Table

    from search.cli._console import console, print_json
    from search.report import theme
    from spaces import backbones

    found = [
        source.open(name)
        for source in backbones.sources().values()
        for name in source.names()
        if grep.lower() in f"{source.name}:{name}".lower()
    ]
    rows = []
    for backbone in found:
        best = backbone.weights[0] if backbone.weights else None
        here = [weights.name for weights in backbone.weights if weights.is_here]
        rows.append((backbone.name, backbone.parameters, backbone.gflops, best.accuracy if best else None, here))
    if as_json:
        keys = ("name", "parameters", "gflops", "imagenet_accuracy", "weights_here")
        print_json([dict(zip(keys, row, strict=True)) for row in rows])
        return
    if not rows:
        from search.errors import NotFoundError

        raise NotFoundError(f"no backbone's name contains {grep!r}; leave --grep out to see all")
    table = Table(box=None, pad_edge=False, header_style="bold")
    for name in ("backbone", "parameters", "GFLOPs", "ImageNet top-1", "weights here"):
        table.add_column(name, justify="left" if name in ("backbone", "weights here") else "right")
    for name, parameters, gflops, accuracy, here in rows:
        table.add_row(
            name,
            theme.count(parameters) if parameters else "–",
            f"{gflops:.2f}" if gflops else "–",
            f"{accuracy:.1f} %" if accuracy else "–",
            ", ".join(here),
        )
    console().print(table)
