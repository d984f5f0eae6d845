"""The command line: every module of this folder without a leading underscore is one command.

A module's function is called ``command``; the command's name is the file's. Nothing here or at the top of a
command's module loads torch, so that ``ftsearch --help`` answers at once.
"""

from __future__ import annotations

import atexit
import gc
import io
import os
import sys
from collections.abc import Sequence
from importlib import import_module
from pkgutil import iter_modules
from typing import Annotated

import typer

SECTIONS = ("Search", "Review", "Look", "Use")
_HELP = """Find out which structure of a pretrained network fits your data best.

A study file says what to search: [bold]ftsearch init FOLDER[/bold] writes one for your data,
[bold]ftsearch plan STUDY.yaml[/bold] shows what it would do, [bold]ftsearch run STUDY.yaml[/bold] does it.
"""


def _version(wanted: bool) -> None:
    if wanted:
        from importlib.metadata import version

        print(f"ftsearch {version('ftsearch')}")
        raise typer.Exit


def build_app() -> typer.Typer:
    """Return the command line with every command of this folder."""
    app = typer.Typer(
        name="ftsearch",
        help=_HELP,
        no_args_is_help=True,
        rich_markup_mode="rich",
        pretty_exceptions_enable=False,  # its tracebacks print local variables, passwords of URLs among them
        context_settings={"help_option_names": ["-h", "--help"]},
    )

    @app.callback()
    def _options(
        version: Annotated[
            bool, typer.Option("--version", help="Print the version and exit.", callback=_version, is_eager=True)
        ] = False,
    ) -> None: ...

    modules = [import_module(f"{__name__}.{info.name}") for info in iter_modules(__path__) if info.name[0] != "_"]
    for module in sorted(modules, key=lambda one: (SECTIONS.index(one.SECTION), one.ORDER)):
        name = module.__name__.rsplit(".", 1)[1].replace("_", "-")
        app.command(name, rich_help_panel=module.SECTION, help=module.__doc__)(module.command)
    return app


def _hide_password() -> None:
    """Restart this process if the URL of a database server is on its command line, which anybody can read.

    It may hold passwords in several places, so it is passed in the environment, which only this user can read.
    """

    words, kept, url = list(sys.orig_argv), [], None
    while words:
        word = words.pop(0)
        if word == "--storage" and words:
            word = f"--storage={words.pop(0)}"
        given = word.removeprefix("--storage=") if word.startswith("--storage=") else None
        if given is not None and "://" in given and not given.startswith("sqlite"):
            url = given
        else:
            kept.append(word)
    if url is not None:
        os.execve(sys.executable, kept, os.environ | {"FTSEARCH_STORAGE": url})  # noqa: S606  # ourselves


def _prepare_streams() -> None:
    """Make sure that everything can be asked and printed, even where nobody answers or reads."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:  # a caller has closed it
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: SIM115  # as long as the process
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="backslashreplace")  # file names need not be UTF-8


def _shown(error: Exception) -> str:
    """Return the error's lines without control characters, shortened: they may quote a file."""
    from search.records.plain_text import curtailed, printable_lines

    text = str(error)
    if isinstance(error, MemoryError):
        text = f"out of memory: {text or 'allocation failed'}; use a smaller input_size"
    elif isinstance(error, OSError):
        text = f"{error.filename}: {error.strerror}" if error.filename else f"cannot write: {error.strerror}"
    return printable_lines("\n".join(map(curtailed, text.split("\n"))))


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command line and return its exit code: 0 done, 1 failed, 2 wrong usage or input."""
    try:
        from spaces import PROJECT
    except ImportError:
        PROJECT = ""  # noqa: N806  # stands in for the constant
    if PROJECT != "ftsearch":
        message = "another package named 'spaces' is installed over ftsearch's; install ftsearch in a fresh environment"
        print(f"Error: {message}", file=sys.stderr)
        return 1
    from search.errors import FinetuneError
    from spaces.errors import SpaceError

    _prepare_streams()
    if argv is None:
        _hide_password()
        atexit.register(gc.freeze)  # the process ends anyway: a last garbage collection would take a second
    try:
        build_app()(args=None if argv is None else list(argv), prog_name="ftsearch")
    except SystemExit as exiting:
        return exiting.code if isinstance(exiting.code, int) else 1
    except (FinetuneError, SpaceError, MemoryError, OSError) as error:
        if isinstance(error, OSError) and error.strerror is None:
            raise
        print(f"Error: {_shown(error)}", file=sys.stderr)
        return getattr(error, "exit_code", 1 if isinstance(error, MemoryError | OSError) else 2)
    except KeyboardInterrupt:
        print("Interrupted.", file=sys.stderr)
        return 130
    return 0
