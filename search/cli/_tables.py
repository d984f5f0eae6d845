"""Tables that keep their numbers whole on a terminal of any width."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType

_GAP = 2


@dataclass(frozen=True, slots=True)
class Sheet:
    """Rows of short cells, optionally followed by words, in the widest form that fits the terminal.

    A line a row where all of it fits, as in a pipe; a table with the words as its last column, where they have at least
    half of the terminal; with the words of each row on lines of their own; or, if not even the short cells fit, a block
    per row of ``heading value`` pairs that are never split.

    Attributes:
        headings: of the short columns.
        rows: a cell for each of them, and one more if there are ``words``.
        left: headings of the columns that are flush left; numbers are flush right.
        words: heading of the words.
        styles: of the rows; plain by default.
    """

    headings: Sequence[str]
    rows: Sequence[Sequence[str]]
    left: Sequence[str] = ()
    words: str = ""
    styles: Sequence[str] = ()

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> Iterator[RenderableType]:
        widths = self._widths()
        used = sum(widths) + _GAP * (len(widths) - 1)
        words = [self.words, *(row[-1] for row in self.rows)] if self.words else []
        longest = max(map(_width, words)) if words else -_GAP
        if used + _GAP + longest <= options.max_width and not (console.is_terminal and "\n" in "".join(words)):
            yield from self._flat(widths)
        elif used + _GAP <= options.max_width // 2:
            yield self._table()
        elif used <= options.max_width:
            yield from self._lines(widths)
        else:
            yield from self._blocks(options.max_width)

    def _widths(self) -> list[int]:
        columns = zip(self.headings, *(row[: len(self.headings)] for row in self.rows), strict=True)
        return [max(map(_width, column)) for column in columns]

    def _style(self, number: int) -> str:
        return self.styles[number] if self.styles else ""

    def _table(self) -> RenderableType:
        from rich.table import Table
        from rich.text import Text

        table = Table(box=None, pad_edge=False, header_style="bold", expand=False)
        for name in self.headings:
            table.add_column(name, no_wrap=True, justify="left" if name in self.left else "right")
        if self.words:
            table.add_column(self.words, overflow="fold")
        for number, row in enumerate(self.rows):
            table.add_row(*(Text(cell) for cell in row), style=self._style(number))
        return table

    def _flat(self, widths: Sequence[int]) -> Iterator[RenderableType]:
        from rich.text import Text

        lines = [(self._line([*self.headings, self.words], widths), "bold")]
        lines += [(self._line(row, widths), self._style(number)) for number, row in enumerate(self.rows)]
        for line, style in lines:
            yield Text(line, style=style, no_wrap=True, overflow="ignore")

    def _lines(self, widths: Sequence[int]) -> Iterator[RenderableType]:
        from rich.text import Text

        yield Text(self._line(self.headings, widths), style="bold")
        for number, row in enumerate(self.rows):
            yield Text(self._line(row[: len(widths)], widths), style=self._style(number))
            yield from self._words(row, self._style(number))

    def _line(self, cells: Sequence[str], widths: Sequence[int]) -> str:
        """Return a line of cells; what is more than the columns, the words, is as long as it is."""
        placed = []
        for name, cell, width in zip(self.headings, cells, widths, strict=False):
            blanks = " " * (width - _width(cell))
            placed.append(cell + blanks if name in self.left else blanks + cell)
        placed += [cell.replace("\n", "; ") for cell in cells[len(widths) :]]
        return (" " * _GAP).join(placed).rstrip()

    def _blocks(self, width: int) -> Iterator[RenderableType]:
        from rich.text import Text

        for number, row in enumerate(self.rows):
            line = ""
            for name, cell in zip(self.headings, row, strict=False):
                pair = f"{name} {cell}".strip()
                if line and _width(line) + _GAP + _width(pair) > width:
                    yield Text(line, style=self._style(number))
                    line = ""
                line = f"{line}{' ' * _GAP}{pair}" if line else pair
            yield Text(line, style=self._style(number))
            yield from self._words(row, self._style(number))

    def _words(self, row: Sequence[str], style: str) -> Iterator[RenderableType]:
        from rich.padding import Padding
        from rich.text import Text

        if self.words and row[-1]:
            yield Padding(Text(row[-1], style=style), (0, 0, 0, _GAP))


def _width(text: str) -> int:
    """Return the number of terminal columns that a text takes."""
    from rich.cells import cell_len

    return cell_len(text)
