"""Where and how a study is worked on: one value, from the command line down to the workers."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TypedDict

from search.store import DEFAULT_URL
from search.trials.observer import Observer, Silent
from search.workers.launchers._base import Placement


@dataclass(frozen=True, slots=True)
class RunOptions:
    """Where and how a study is worked on; none of it changes the results.

    Attributes:
        storage: SQLAlchemy URL of the database.
        device: ``auto``, ``cpu``, ``cuda`` or ``cuda:N``.
        data: path of the data on this machine, if not as in the study file.
        artifacts: of a new study, where its checkpoints go: a folder that all workers reach, or
            ``s3://BUCKET/PREFIX``; of one in the store, where their folder is mounted on this machine.
        observer: notified of trials and epochs as they happen.
        placement: which launcher runs workers, and how.
        workers: processes; 1 works in this one. By default one for every GPU of this machine, at least one.
    """

    storage: str = DEFAULT_URL
    device: str = "auto"
    data: Path | None = None
    artifacts: str | None = None
    observer: Observer = field(default_factory=Silent)
    placement: Placement = field(default_factory=Placement)
    workers: int | None = None


class RunKeywords(TypedDict, total=False):
    """The fields of ``RunOptions`` as keyword arguments, and ``options``, which they are put over."""

    options: RunOptions
    storage: str
    device: str
    data: Path | None
    artifacts: str | None
    observer: Observer | None
    placement: Placement | None
    workers: int | None


def run_options(given: RunKeywords) -> RunOptions:
    """Return ``options``, or the defaults, with the keyword arguments that are not None put over them.

    Raises:
        TypeError: unknown keyword.
    """
    options = given.get("options", RunOptions())
    changed = {name: value for name, value in given.items() if name != "options" and value is not None}
    return replace(options, **changed)  # type: ignore[arg-type]
