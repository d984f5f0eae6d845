"""Types of columns whose values are checked where they are read.

SQLite keeps anything in any column, bytes in one of text and fractions in one of whole numbers, and whoever shares the
file can write there. ``connection.retried`` makes a line of the TypeError.
"""

from __future__ import annotations

from typing import Any, ClassVar

from sqlalchemy import BigInteger, Dialect, Float, Integer, String, Text
from sqlalchemy.types import TypeDecorator


class _Checked(TypeDecorator[Any]):
    """A column of values of one of ``kinds``, in words ``expected``."""

    impl: Any = String
    kinds: ClassVar[tuple[type, ...]] = (str,)
    expected: ClassVar[str] = "text"

    def process_result_value(self, value: Any, dialect: Dialect) -> Any:
        if value is None or type(value) in self.kinds:
            return value
        raise TypeError(f"expected {self.expected}, got {value!r:.60}")


class Name(_Checked):
    """A text of limited length."""

    cache_ok = True


class Prose(_Checked):
    """A text of any length."""

    impl = Text
    cache_ok = True


class Whole(_Checked):
    """A whole number of 32 bits; SQLite does not mind 64."""

    impl = Integer
    cache_ok = True
    kinds = (int,)
    expected = "a whole number"


class LargeWhole(Whole):
    """A whole number of 64 bits."""

    impl = BigInteger
    cache_ok = True


class Real(_Checked):
    """A number of double precision."""

    impl = Float(53)
    cache_ok = True
    kinds = (float, int)
    expected = "a number"
