"""Score pretrained networks on a study's data without training them, to choose one to start with."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.cli._console import DeviceOption, JsonOption, StorageOption

if TYPE_CHECKING:
    from rich.console import Console

    from search.records.backbone_ranking import Ranking

SECTION, ORDER = "Search", 2


def command(  # noqa: PLR0913  # typer makes an option of every parameter
    study: Annotated[Path, typer.Argument(metavar="STUDY.yaml", help="The study file: its data and input size.")],
    names: Annotated[
        str,
        typer.Option(
            "--backbones", metavar="NAME,...", help="Names such as resnet18,timm:...; weights are downloaded if needed."
        ),
    ] = "",
    all_local: Annotated[
        bool, typer.Option("--all-local", help="All whose weights are on this machine; the default.")
    ] = False,
    under: Annotated[
        str, typer.Option(metavar="10M,1GF", help="Upper limit on parameters (10M), FLOPs (1GF) or both.")
    ] = "",
    methods: Annotated[
        str,
        typer.Option("--estimators", metavar="NAME,...", help="Any of logme,hscore,linear_probe,knn; all by default."),
    ] = "",
    images: Annotated[int, typer.Option(min=4, help="Maximum number of training images to use.")] = 1000,
    layers: Annotated[int, typer.Option(min=1, help="Number of units per network whose features are scored.")] = 6,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.html", help="runs/STUDY/ranking.html by default.")
    ] = None,
    device: DeviceOption = "auto",
    storage: StorageOption = None,
    as_json: JsonOption = False,
) -> None:
    from dataclasses import asdict

    from search.cli._console import console, print_json, storage_url
    from search.cli._working import working
    from search.ranking.options import CostLimits, RankOptions, parse_limits
    from search.report import backbone_ranking as report

    options = RankOptions(
        names=_listed(names),
        all_local=all_local,
        under=parse_limits(under) if under else CostLimits(),
        methods=_listed(methods),
        images=images,
        layers=layers,
    )
    with working(console(stderr=True), "loading libraries") as say:
        from search.ranking.rank import rank_backbones

        say("reading the data")
        ranking = rank_backbones(
            study,
            options,
            device=device,
            storage=storage_url(storage),
            progress=lambda what, number, total: say(f"{what} ({number} of {total})"),
        )
    if as_json:
        agreements = [asdict(each) for each in (*ranking.agreements, *ranking.with_trials)]
        print_json(asdict(ranking) | {"agreements": agreements})
        return
    screen = console()
    _print(screen, ranking)
    path = report.write(ranking, output or Path("runs") / ranking.study / "ranking.html")
    screen.print(f"Page: {path}", soft_wrap=True)


def _listed(text: str) -> tuple[str, ...]:
    return tuple(part for part in (part.strip() for part in text.split(",")) if part)


def _print(screen: Console, ranking: Ranking) -> None:
    from search.cli._tables import Sheet
    from search.records.backbone_ranking import trust
    from search.report import backbone_ranking as report

    screen.print(report.subtitle(ranking))
    headings = report.columns(ranking)
    screen.print(Sheet(headings, report.table(ranking), left=headings[:2]))
    layers = ("backbone", "estimator", "best features after")
    screen.print()
    screen.print(Sheet(layers, report.best_layers(ranking), left=layers))
    screen.print()
    for line in trust(ranking):
        screen.print(line)
    for name, reason in ranking.left_out:
        screen.print(f"left out: {name}: {reason}", style="yellow")
