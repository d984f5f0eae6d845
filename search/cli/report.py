"""Write the HTML report of one or several studies."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from search.cli._console import StorageOption

SECTION, ORDER = "Review", 4


def command(
    studies: Annotated[list[str], typer.Argument(metavar="STUDY...", help="Names or study files.")],
    output: Annotated[
        Path | None, typer.Option("-o", "--output", metavar="FILE.html", help="runs/STUDY/report.html by default.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--png", metavar="DIR", help="Also write every figure as a PNG; needs Chromium.")
    ] = None,
    storage: StorageOption = None,
    show: Annotated[bool, typer.Option("--open", help="Open it in the browser.")] = False,
) -> None:
    from search.cli._console import console, open_store, study_name
    from search.cli._working import working

    names = list(dict.fromkeys(study_name(study) for study in studies))
    with working(console(stderr=True), "reading the studies") as say:
        from search.report import images, page
        from search.report.gather import gather

        with open_store(storage) as engine:
            records = [gather(engine, name) for name in names]
        say("drawing the figures")
        path = page.write(records, output or Path("runs") / records[0].name / "report.html")
        console().print(f"Report: {path}", soft_wrap=True)
        if png is not None:
            say("drawing the pictures")
            written = images.write(records, png)
            console().print(f"Pictures: {len(written)} in {png}", soft_wrap=True)
    if show:
        import webbrowser

        webbrowser.open(path.absolute().as_uri())
