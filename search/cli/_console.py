"""Shared by commands: the console, log handlers, the storage option, formatted numbers."""

from __future__ import annotations

import logging
import os
import sys
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from search.store import DEFAULT_URL

if TYPE_CHECKING:
    from rich.console import Console
    from rich.text import Text

    from search.store.connection import Engine

_HANDLER = "ftsearch"
_PIPE = 100_000
"""Columns of what is no terminal: programs read lines, and nobody sees how long they are."""

DeviceOption = Annotated[str, typer.Option("--device", help="auto, cpu, cuda or cuda:N.")]
DataOption = Annotated[
    Path | None,
    typer.Option("--data", help="Path of the data set on this machine; the study's own by default."),
]
ArtifactsOption = Annotated[
    str | None,
    typer.Option(
        "--artifacts", metavar="FOLDER", help="Path at which the folder of the study's checkpoints is mounted here."
    ),
]
StorageOption = Annotated[
    str | None,
    typer.Option(
        "--storage",
        metavar="URL",
        envvar="FTSEARCH_STORAGE",
        show_envvar=True,
        help="Database of all studies, as an SQLAlchemy URL.",
        show_default=DEFAULT_URL,
    ),
]
StudyArgument = Annotated[
    str, typer.Argument(metavar="STUDY", help="Name of a study in the store, or the study file it came from.")
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print as JSON, for programs.")]


def console(*, stderr: bool = False) -> Console:
    """Return a console: colours on a terminal, plain text elsewhere; in a pipe, a row of a table is a line.

    Square brackets are not markup, nor ``:b:`` an emoji: names of files and classes may contain them.
    """
    from rich.console import Console

    stream = sys.stderr if stderr else sys.stdout
    width = None if stream.isatty() or "COLUMNS" in os.environ else _PIPE
    return Console(stderr=stderr, width=width, highlight=False, soft_wrap=False, markup=False, emoji=False)


def styled(*parts: str | tuple[str, str]) -> Text:
    """Return text in which parts given with a style, ``("Next:", "bold")``, have that style."""
    from rich.text import Text

    return Text.assemble(*parts)


def show_next(screen: Console, *words: str | Path) -> None:
    """Print the command to go on with, in one line: terminals copy what they have broken themselves as it was."""
    from search.records.command_line import command

    screen.print(styled(("Next:", "bold"), f" {command(*words)}"), soft_wrap=True)


def process_begin() -> float | None:
    """Return the start of this process by ``time.monotonic``: users also wait for libraries to load.

    None if the command line is called from another program.
    """
    import time

    import psutil

    if Path(sys.argv[0]).name not in ("ftsearch", "__main__.py"):
        return None
    return time.monotonic() - (time.time() - float(psutil.Process().create_time()))


def print_json(data: object) -> None:
    """Print ``data`` as JSON; NaN and infinity become null."""
    import json
    import math

    def plain(value: object) -> object:
        if isinstance(value, float) and not math.isfinite(value):
            return None
        if isinstance(value, dict):
            return {key: plain(inner) for key, inner in value.items()}
        return [plain(inner) for inner in value] if isinstance(value, list | tuple) else value

    print(json.dumps(plain(data), indent=2, ensure_ascii=False, default=str))


def storage_url(given: str | None) -> str:
    """Return the URL of the store: the one given, else ``FTSEARCH_STORAGE``, else SQLite under ``runs/``."""
    return given or DEFAULT_URL


def open_store(given: str | None) -> AbstractContextManager[Engine]:
    """Return the context of the existing store's engine, its schema up to date.

    Raises:
        NotFoundError: there is no such SQLite file.
    """
    from search.store.opening import opened

    return opened(storage_url(given), must_exist=True)


def seconds_of(option: str, text: str | None) -> float | None:
    """Return the seconds of a duration given as ``option``; None if it was not given.

    Raises:
        UserError: it is not a duration above 0, or longer than ten years.
    """
    from search.errors import UserError
    from search.spec.durations import LONGEST_S, parse_duration

    try:
        seconds = None if text is None else float(parse_duration(text))
    except ValueError as error:
        raise UserError(f"{option}: {error}") from error
    if seconds is not None and not 0 < seconds <= LONGEST_S:
        raise UserError(f"{option}: expected a time above 0, at most ten years, got {text!r}")
    return seconds


def study_name(study: str) -> str:
    """Return the name meant by ``study``: itself, or the ``name:`` of the study file it points to."""
    if study.endswith((".yaml", ".yml")):
        import yaml

        from search.data import yaml_documents
        from search.errors import UserError

        try:
            data = yaml_documents.load(yaml_documents.text_of(Path(study)))
        except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
            reason = getattr(error, "strerror", None) or error
            raise UserError(f"cannot read the study file {study}: {reason}") from error
        if not isinstance(data, dict) or not isinstance(data.get("name"), str):
            raise UserError(f"{study} has no 'name'; give the study's name or a study file")
        return str(data["name"])
    return study


def log_to(stream_console: Console | None = None, level: int = logging.INFO) -> None:
    """Send log lines to ``stream_console`` (with a progress bar below them), or plain to stderr.

    What observers are told too is left out: commands print what these hear.
    """
    root = logging.getLogger()
    for old in [handler for handler in root.handlers if handler.name == _HANDLER]:
        root.removeHandler(old)  # ours from an earlier command; a host program keeps its own
    handler: logging.Handler
    if stream_console is not None:
        from rich.logging import RichHandler

        handler = RichHandler(console=stream_console, show_path=False, log_time_format="%H:%M:%S", markup=False)
    else:
        handler = logging.StreamHandler()
        handler.setFormatter(logging.Formatter("%(asctime)s %(message)s", datefmt="%H:%M:%S"))
    handler.name = _HANDLER
    handler.addFilter(lambda line: not getattr(line, "observed", False))
    root.addHandler(handler)
    root.setLevel(logging.WARNING)
    for package in ("search", "spaces"):
        logging.getLogger(package).setLevel(level)
