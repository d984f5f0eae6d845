"""Texts with one label each, from Hugging Face's ``datasets``."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path

from search.data import hub, text_tables
from search.data.formats._base import Format
from search.data.hub import HubOptions
from search.data.sample import Dataset


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(HubOptions):
    """A data set of Hugging Face's hub by name, or a local one; needs ``pip install 'ftsearch[datasets]'``.

    Attributes:
        text_column, label_column: by default found by their names.
        pair_column: of a second text; found where the first is ``sentence1``, ``premise`` or ``question1``.
    """

    text_column: str | None = None
    pair_column: str | None = None
    label_column: str | None = None
    split_column: str = ""


class HfText(Format):
    """A text, perhaps a second one, and a class, from a data set by name or path."""

    name, options = "hf_text", Options

    def read(self, options: Options, base: Path) -> Dataset:
        tables = hub.tables_of(options, base)
        listed, problems = text_tables.read_texts(tables, options, partial(text_tables.labels, options.label_column))
        return text_tables.classes_of(options.dataset, listed, problems, options)


format = HfText()  # noqa: A001  # the room's word for its plug-in
