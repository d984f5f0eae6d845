"""Untrusted text made printable: names of files and classes, whatever a shared database contains."""

from __future__ import annotations

import unicodedata

_TURNING = ("LRE", "RLE", "LRO", "RLO", "PDF", "LRI", "RLI", "FSI", "PDI")


def printable(text: object) -> str:
    """Return a name that can be printed and stored: bytes that are not UTF-8 and control characters are escaped."""
    name = str(text).encode("utf-8", "backslashreplace").decode("utf-8")
    return "".join(letter.encode("unicode_escape").decode() if is_control(letter) else letter for letter in name)


def is_control(letter: str) -> bool:
    """Return whether ``letter`` is a control character, or reverses the direction of the text behind it."""
    return unicodedata.category(letter) == "Cc" or unicodedata.bidirectional(letter) in _TURNING


def printable_lines(text: object) -> str:
    """Return ``text`` with every line made ``printable``."""
    return "\n".join(map(printable, str(text).split("\n")))
