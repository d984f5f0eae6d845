"""Text of others on a terminal: names of files, of classes, and whatever stands in a shared database."""

from __future__ import annotations

import unicodedata

_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def printable(text: object) -> str:
    """Return a name that can be printed and stored: bytes that are not UTF-8 and control characters are escaped."""
    name = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter.encode("unicode_escape").decode() if is_control(letter) else letter for letter in name)


def is_control(letter: str) -> bool:
    """Return whether a terminal obeys ``letter``, or writes what follows the other way round."""
    return unicodedata.category(letter) == "Cc" or unicodedata.bidirectional(letter) in _TURNING


def printable_lines(text: object) -> str:
    """Return a text whose lines are ``printable``."""
    return "\n".join(map(printable, str(text).split("\n")))
