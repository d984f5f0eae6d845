"""Untrusted text made printable: names of files and classes, whatever a shared database contains."""

from __future__ import annotations

import unicodedata

LONGEST_LINE = 2000
"""Most characters of a line meant for people."""
LONGEST_PATH = 300
LONGEST_NAME = 1000
"""Most characters of a class name: anything longer is a text mistaken for a label."""
_EXCERPT = 200
_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def printable(text: object) -> str:
    """Return a name that can be printed and stored: bytes that are not UTF-8 and control characters are escaped."""
    if str(text).isprintable():
        return str(text)
    name = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter.encode("unicode_escape").decode() if is_control(letter) else letter for letter in name)


def is_control(letter: str) -> bool:
    """Return whether ``letter`` is a control character, or reverses the direction of the text after it."""
    return unicodedata.category(letter) == "Cc" or unicodedata.bidirectional(letter) in _TURNING


def printable_lines(text: object) -> str:
    """Return ``text`` with every line made ``printable``."""
    return "\n".join(map(printable, str(text).split("\n")))


def shortened(text: str, most: int = _EXCERPT) -> str:
    """Return the beginning of ``text``, in one line of at most ``most`` characters."""
    line = " ".join(text[: 4 * most].split())
    return line if len(line) <= most and len(text) <= 4 * most else f"{line[: most - 1].rstrip()}…"


def curtailed(line: str, most: int = LONGEST_LINE) -> str:
    """Return ``line``, without its middle if it has more than ``most`` characters: reasons are at the end."""
    return line if len(line) <= most else f"{line[: most // 2]}…{line[-(most // 2) :]}"


def numbered(count: int, plural: str) -> str:
    """Return ``1 class``, ``3 classes``: ``plural`` is ``classes``, or a word with an ``s`` for it."""
    return f"{count} {plural if count != 1 else 'class' if plural == 'classes' else plural.removesuffix('s')}"


def stored_line(text: str) -> str:
    """Return a line of a shared database in a form fit to show: of bounded length, and printable."""
    return printable(curtailed(text))
