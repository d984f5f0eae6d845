"""CoNLL format: one word per line with its columns, an empty line after every sentence."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from search.data import conll_files, split_names
from search.data.conll_files import Sentence
from search.data.files import text_of
from search.data.formats._base import Format
from search.data.given_paths import given_path
from search.data.sample import Dataset, Split
from search.data.texts import TextOptions
from search.errors import DataError

_SUFFIXES = (".conll", ".txt", ".bio", ".iob", ".tsv", ".conllu")


@dataclass(frozen=True, slots=True, kw_only=True)
class Options(TextOptions):
    """A file in CoNLL form, or a folder with ``train.conll``, ``dev.conll``, ``test.conll`` (``.txt``, ``.bio`` ...).

    Columns are separated by tabs if a file has any, else by blanks; lines that begin with ``# `` and have no tag are
    comments.

    Attributes:
        word_column, tag_column: positions of the columns, from 0; negative ones count from the end.
        val_share: taken from the training sentences if there is no validation split; ``test_share`` likewise.
        limit: most sentences to take from each split, drawn with ``seed``; all by default.
    """

    path: str
    word_column: int = 0
    tag_column: int = -1

    def __post_init__(self) -> None:
        TextOptions.__post_init__(self)
        if self.word_column == self.tag_column:
            raise ValueError(f"word_column and tag_column must be two columns, got {self.word_column} twice")


class Conll(Format):
    """The format of the shared tasks, CoNLL-2003 among them (https://aclanthology.org/W03-0419)."""

    name, options, suffixes = "conll", Options, _SUFFIXES

    def read(self, options: Options, base: Path) -> Dataset:
        path = given_path(base, options.path)
        files: Sequence[tuple[Split | None, Path]] = [(None, path)]
        if path.is_dir():
            files = list(split_names.files_of(path, _SUFFIXES).items())
        sentences: list[Sentence] = []
        problems: list[str] = []
        for split, file in files:
            for sentence in _sentences(file, split, options):
                if isinstance(sentence, Sentence):
                    sentences.append(sentence)
                else:
                    problems.append(sentence)
        if len(sentences) == 1 and not problems and len(sentences[0].words) > 1:
            raise DataError(f"{path}: {len(sentences[0].words)} words in one sentence; an empty line ends a sentence")
        return conll_files.tagged_dataset(path.stem, sentences, problems, options)


def _sentences(file: Path, split: Split | None, options: Options) -> Iterator[Sentence | str]:
    """Yield the sentences of ``file``; in place of each unusable one, a line that says why."""
    text = text_of(file)
    separator = "\t" if "\t" in text else None
    start, fault = 0, ""
    words: list[str] = []
    tags: list[str] = []
    for number, line in enumerate([*text.replace("\r\n", "\n").split("\n"), ""], 1):
        fields = line.split(separator)
        if not line.strip() or fields[0] == conll_files.DOCUMENT:
            if words or fault:
                yield fault or Sentence(f"{file}, line {start}", tuple(words), tuple(tags), split)
            words, tags, fault = [], [], ""
            continue
        if line.startswith("# ") and len(fields) <= _widest(options):
            continue
        start = start if words or fault else number
        if len(fields) <= _widest(options) or not _field(fields, options.tag_column):
            fault = fault or f"{file}, line {number}: the word {fields[0]!r} has no tag in column {options.tag_column}"
            continue
        words.append(_field(fields, options.word_column) or "_")
        tags.append(_field(fields, options.tag_column))


def _field(fields: list[str], column: int) -> str:
    return fields[column].strip()


def _widest(options: Options) -> int:
    """Return the largest number of fields among the lines that lack one of the columns."""
    return max(column if column >= 0 else -column - 1 for column in (options.word_column, options.tag_column, 1))


format = Conll()  # noqa: A001  # the room's word for its plug-in
