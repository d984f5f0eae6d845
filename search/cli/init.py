"""Write a commented study file for a folder or table of labelled data."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

SECTION, ORDER = "Search", 0
_LONGEST = 64
"""Characters allowed in the name of a study."""
_SHOWN = 20
"""Most faults that are listed."""


def command(
    data: Annotated[
        Path,
        typer.Argument(
            metavar="DATA",
            help="A folder per class, images beside masks, COCO, VOC or YOLO boxes, a table of texts, CoNLL ...",
        ),
    ],
    output: Annotated[
        Path | None,
        typer.Option("-o", "--output", metavar="FILE.yaml", help="DATA.yaml in the working directory by default."),
    ] = None,
    task: Annotated[
        str | None, typer.Option(metavar="TASK", help="The task, where the data would fit several.")
    ] = None,
    backbone: Annotated[
        str | None,
        typer.Option(
            help="The pretrained network.", show_default="mobilenet_v2 for images, all-minilm-l6-v2 for texts"
        ),
    ] = None,
    force: Annotated[bool, typer.Option("--force", help="Overwrite the study file if it exists.")] = False,
) -> None:
    from search.cli._console import console, show_next
    from search.cli._working import working

    screen = console()
    with working(screen, "loading libraries") as say:
        path, lines = _written(data, output, task, backbone, force=force, say=say)
    for line, style in lines:
        screen.print(line, style=style, soft_wrap=True)
    screen.print(f"Wrote {path}.", soft_wrap=True)
    show_next(screen, "plan", path)


def _is_text(value: object) -> bool:
    """Return whether a value can be written as UTF-8: names of files need not be."""
    return not isinstance(value, str) or value.isascii() or value.encode(errors="replace").decode() == value


def _written(
    data: Path,
    output: Path | None,
    task: str | None,
    backbone: str | None,
    *,
    force: bool,
    say: Callable[[str], None],
) -> tuple[Path, list[tuple[str, str]]]:
    """Write the study file; return it and what was seen in the data, lines with their styles."""
    import re

    from search.data.sample import Split
    from search.errors import UserError
    from search.new_study import template
    from search.new_study.detect import recognise
    from search.records.plain_text import numbered
    from search.tasks import tasks
    from spaces import backbones

    if task is not None and task not in tasks():
        raise UserError(f"--task: expected one of {', '.join(tasks())}, got {task!r}")
    say(f"looking at {data}")
    recognised = recognise(data, task)
    whole = data.absolute()
    given = whole.name if whole.is_dir() else whole.stem
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", given).strip("-._")[:_LONGEST] or "study"
    path = output or Path(f"{name}.yaml")
    if path.exists() and not force:
        raise UserError(f"{path} exists; name another file with -o, or overwrite it with --force")
    if not all(_is_text(value) for value in (str(recognised.path.absolute()), *recognised.options.values())):
        raise UserError(f"{data}: its path is no UTF-8 text, which a study file has to be; rename its folders")
    say(f"reading {data}")
    dataset = recognised.read()
    network = backbones.resolve(backbone or template.backbone_for(recognised.task))
    chosen = tasks()[recognised.task]
    if network.reads != chosen.reads:
        raise UserError(f"the task {chosen.name} does not read {network.reads}, as {network.name} does; choose another")
    text = template.draft(recognised, dataset, network, file=path, name=name)
    try:
        path.write_text(text, encoding="utf-8")
    except OSError as error:
        raise UserError(f"cannot write {path}: {error.strerror}; name another file with -o") from error
    sizes = ", ".join(f"{count} {split}" for split in Split if (count := len(dataset.of(split))))
    what = f"{chosen.name}, {numbered(len(dataset.classes), chosen.outputs)} ({sizes} {chosen.noun})"
    lines = [(f"{dataset.name}: {recognised.why}: {what}", "")]
    lines += [(f"fault: {line}", "yellow") for line in dataset.skipped[:_SHOWN]]
    if len(dataset.skipped) > _SHOWN:
        lines.append((f"fault: and {len(dataset.skipped) - _SHOWN} more", "yellow"))
    lines += [(line, "") for line in dataset.notes]
    return path, lines
