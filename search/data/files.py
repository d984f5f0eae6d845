"""Files of a data set: which of them are hidden or system files, ignored and counted; and the content of text files."""

from __future__ import annotations

import os
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from search.errors import DataError
from search.records.plain_text import printable

_SYSTEM = frozenset(
    {
        "__macosx",  # in archives made on a Mac
        "__pycache__",
        "#recycle",  # recycle bins and snapshots of network drives
        "#snapshot",
        "$recycle.bin",  # Windows
        "system volume information",
        "lost+found",  # Linux
    }
)
_FILES = frozenset({"thumbs.db", "desktop.ini"})
_SHOWN = 4
_LETTER = re.compile("[a-zA-Z]")


def is_passed_over(name: str) -> bool:
    """Return whether a file or folder name belongs to a system: hidden files, thumbnails, recycle bins, checkpoints.

    That is, names that begin with a dot (``.ipynb_checkpoints``, macOS's ``._x.png``) or an at sign (``@eaDir`` on
    network drives), and a short list of others.
    """
    return name.startswith((".", "@")) or name.lower() in _SYSTEM | _FILES


def text_of(file: Path, hint: str = "`data.path` is relative to the study file") -> str:
    """Return the content of a text file, without a byte-order mark.

    Args:
        hint: ends the error if the file cannot be opened.

    Raises:
        DataError: it cannot be opened, or is not UTF-8.
    """
    try:
        return file.read_text(encoding="utf-8-sig")
    except OSError as error:
        raise DataError(f"cannot read {file}: {error.strerror}{hint and f'; {hint}'}") from error
    except UnicodeDecodeError as error:
        raise DataError(f"{file} is not UTF-8 text: {error.reason} at byte {error.start}; save it as UTF-8") from error


def visible(folder: Path, *patterns: str) -> list[Path]:
    """Return the files and folders in ``folder``, or those that match one of the ``patterns`` of ``Path.glob``, sorted.

    Capital letters count as small ones. Hidden and system files and folders are skipped, as are dangling links, pipes
    and the like.
    """
    matches = {path for pattern in patterns or ("*",) for path in folder.glob(_LETTER.sub(_either, pattern))}
    named = (path for path in matches if not any(map(is_passed_over, path.relative_to(folder).parts)))
    return sorted(path for path in named if path.is_file() or path.is_dir())


def _either(letter: re.Match[str]) -> str:
    return f"[{letter[0].lower()}{letter[0].upper()}]"


def files_below(folder: Path) -> Iterator[Path]:
    """Yield the files in and below ``folder``, by folder and name; hidden and system ones are skipped."""
    for inner, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not is_passed_over(name))
        yield from (Path(inner, name) for name in sorted(names) if not is_passed_over(name))


@dataclass(slots=True)
class Walk:
    """Finds the files of a data set and counts those it ignores.

    Attributes:
        hidden: name of a hidden or system folder (or of a hidden file) -> files in it that were ignored.
        endings: extension of files that are not read -> their number.
    """

    hidden: Counter[str] = field(default_factory=Counter)
    endings: Counter[str] = field(default_factory=Counter)

    def folders(self, root: Path) -> list[Path]:
        """Return the folders in ``root``, sorted, without hidden and system folders."""
        entries = sorted(entry for entry in root.iterdir() if entry.is_dir())
        for folder in entries:
            if is_passed_over(folder.name):
                self.hidden[folder.name] += sum(1 for _ in _below(folder))
        return [folder for folder in entries if not is_passed_over(folder.name)]

    def files(self, root: Path, endings: Sequence[str], beside: Sequence[str] = ()) -> list[Path]:
        """Return the files in and below ``root`` with one of the extensions ``endings`` (lower case), by path.

        Files with an extension of ``beside`` belong to the data set too; all others are counted as ignored.
        """
        paths: list[Path] = []
        for path in _below(root):
            part = next((part for part in path.relative_to(root).parts if is_passed_over(part)), None)
            ending = path.suffix.lower()
            if part is not None:
                self.hidden[part] += ending in endings
            elif ending in endings:
                paths.append(path)
            elif ending not in beside:
                self.endings[ending] += 1
        return sorted(paths)

    def lines(self) -> tuple[str, ...]:
        """Return a line for each reason for ignoring files."""
        lines = []
        hidden = +self.hidden
        if hidden:
            lines.append(f"{_count(hidden)} in hidden or system folders ignored: {_few(list(hidden))}")
        if self.endings:
            named = [f"{number} {ending or 'without extension'}" for ending, number in self.endings.most_common()]
            lines.append(f"{_count(self.endings)} with other extensions not read: {_few(named)}")
        return tuple(lines)


def _count(counted: Counter[str]) -> str:
    return f"{counted.total()} file{'s' * (counted.total() != 1)}"


def _few(names: Sequence[str]) -> str:
    shown = ", ".join(printable(name) for name in names[:_SHOWN])
    return f"{shown} and {len(names) - _SHOWN} more" if len(names) > _SHOWN else shown


def _below(root: Path) -> Iterator[Path]:
    for folder, folders, names in os.walk(root):
        folders.sort()
        for name in sorted(names):
            path = Path(folder, name)
            if path.is_file():
                yield path
