"""Sentences of tagged words, from Hugging Face's ``datasets``."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from search.data import conll_files, hub
from search.data.conll_files import Sentence
from search.data.formats._base import Format
from search.data.hub import HubOptions
from search.data.sample import Dataset, Split
from search.errors import DataError


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(HubOptions):
    """A data set of Hugging Face's hub by name, or a local one; needs ``pip install 'ftsearch[datasets]'``.

    Attributes:
        words_column: lists of words; ``tags_column`` lists with one tag per word.
    """

    words_column: str = "tokens"
    tags_column: str = "ner_tags"


class HfTokens(Format):
    """Lists of words and of tags, from a data set by name or path."""

    name, options = "hf_tokens", Options

    def read(self, options: Options, base: Path) -> Dataset:
        sentences: list[Sentence] = []
        problems: list[str] = []
        for split, part in hub.parts_of(options, base).items():
            for sentence in _sentences(f"{options.dataset}[{split}]", split, part, options):
                if isinstance(sentence, Sentence):
                    sentences.append(sentence)
                else:
                    problems.append(sentence)
        return conll_files.tagged_dataset(options.dataset, sentences, problems, options)


def _sentences(name: str, split: Split, part: Any, options: Options) -> Iterator[Sentence | str]:
    for column, option in ((options.words_column, "words_column"), (options.tags_column, "tags_column")):
        if column not in part.column_names:
            raise DataError(f"{name}: no column {column!r}; it has {', '.join(part.column_names)}; set `data.{option}`")
    names = hub.names_of(part.features[options.tags_column])
    for number, entry in enumerate(part):
        place = f"{name}, row {number}"
        words, tags = entry[options.words_column], entry[options.tags_column]
        if not isinstance(words, list) or not isinstance(tags, list) or len(words) != len(tags) or not words:
            yield f"{place}: expected as many words as tags, at least one, got {_count(words)} and {_count(tags)}"
            continue
        read = tuple(
            names[tag] if names and isinstance(tag, int) and 0 <= tag < len(names) else str(tag) for tag in tags
        )
        yield Sentence(place, tuple(str(word).strip() or "_" for word in words), read, split)


def _count(value: Any) -> str:
    return str(len(value)) if isinstance(value, list) else type(value).__name__


format = HfTokens()  # noqa: A001  # the room's word for its plug-in
